"""Event trackers: a dataset group has at most one, with whose tracking id a storefront sends events."""

from __future__ import annotations

import secrets
import uuid
from datetime import UTC, datetime

from services.engine.domain import state
from services.engine.domain.resources import ResourceType
from services.engine.personalize import dataset_groups
from services.engine.personalize.context import NewState, OperationContext, already_exists
from services.engine.personalize.members import (
    ArnText,
    Page,
    ResourceName,
    StatusView,
    Tagged,
    WireModel,
)
from shared.events import TrackerChanged
from shared.events.topics import TRACKERS


class CreateEventTracker(Tagged):
    """The request of CreateEventTracker."""

    name: ResourceName
    dataset_group_arn: ArnText


class EventTrackerCreated(WireModel):
    """The answer to CreateEventTracker."""

    event_tracker_arn: str
    tracking_id: str


class EventTrackerName(WireModel):
    """The ARN of an event tracker, in requests and answers."""

    event_tracker_arn: ArnText


class ListEventTrackers(Page):
    """The request of ListEventTrackers."""

    dataset_group_arn: ArnText | None = None


class EventTrackerSummary(StatusView):
    """The view of an event tracker in a list."""

    arn_member = "eventTrackerArn"

    name: str
    event_tracker_arn: str


class EventTracker(EventTrackerSummary):
    """The view of an event tracker in the answer to Describe."""

    account_id: str
    tracking_id: str
    dataset_group_arn: str


class EventTrackerDescribed(WireModel):
    """The answer to DescribeEventTracker."""

    event_tracker: EventTracker


class EventTrackersListed(WireModel):
    """One page of the answer to ListEventTrackers."""

    event_trackers: list[EventTrackerSummary]
    next_token: str | None = None


async def create(context: OperationContext, request: CreateEventTracker) -> EventTrackerCreated:
    """Create the event tracker of a dataset group."""
    group = await dataset_groups.lock_active(context, request.dataset_group_arn)
    tracker = await create_tracker(context, request, group, str(uuid.uuid4()))
    return EventTrackerCreated(event_tracker_arn=str(tracker.arn), tracking_id=tracker.document.tracking_id)


async def create_tracker(
    context: OperationContext, request: CreateEventTracker, group: state.DatasetGroup, tracking_id: str
) -> state.EventTracker:
    """Create an event tracker with a tracking id.

    Raise WireError (ResourceAlreadyExistsException) if the group has one, or the name is taken.
    """
    if await context.resources.children(group.path, ResourceType.EVENT_TRACKER, with_deleting=True):
        raise already_exists(f"The dataset group {group.arn} has an event tracker already; it can have one.")
    if await context.resources.has_name(ResourceType.EVENT_TRACKER, request.name):
        raise already_exists(f"Another event tracker with the name {request.name} already exists.")
    new = NewState(
        f"{ResourceType.EVENT_TRACKER}/{secrets.token_hex(4)}",
        request.name,
        group.owner,
        state.EventTrackerDocument(dataset_group_arn=group.arn, tracking_id=tracking_id),
        state.Facts(),
        parent=group.path,
    )
    tracker = await context.create(state.EventTracker, new, request)
    await context.events.publish(TRACKERS, tracker_changed(tracker))
    return tracker


def tracker_changed(tracker: state.EventTracker) -> TrackerChanged:
    """Return the event with the state of a tracker."""
    return TrackerChanged(
        event_id=str(uuid.uuid4()),
        tenant=tracker.owner,
        occurred_at=datetime.now(UTC),
        name=tracker.name,
        arn=str(tracker.arn),
        tracking_id=tracker.document.tracking_id,
        status=tracker.status,
    )


async def describe(context: OperationContext, request: EventTrackerName) -> EventTrackerDescribed:
    """Describe an event tracker."""
    tracker = await context.find(request.event_tracker_arn, state.EventTracker)
    return EventTrackerDescribed(event_tracker=EventTracker.of(tracker, accountId=tracker.account))


async def list_page(context: OperationContext, request: ListEventTrackers) -> EventTrackersListed:
    """List event trackers."""
    group = await context.find_optional(request.dataset_group_arn, state.DatasetGroup)
    views, token = await context.list_page(request, state.EventTracker, EventTrackerSummary, group)
    return EventTrackersListed(event_trackers=views, next_token=token)


async def delete(context: OperationContext, request: EventTrackerName) -> None:
    """Delete an event tracker; events with its tracking id are refused from then on."""
    tracker = await context.find(request.event_tracker_arn, state.EventTracker, lock=True)
    await context.resources.begin_deletion(tracker)
    await context.events.publish_tombstone(TRACKERS, tracker.owner, tracker_changed(tracker).key)
