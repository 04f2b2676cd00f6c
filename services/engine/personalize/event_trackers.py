"""Event trackers: one in a group, whose tracking id lets a storefront send events."""

from __future__ import annotations

import secrets
import uuid
from datetime import UTC, datetime

from services.engine.domain.resources import NewResource, Resource, Type
from services.engine.personalize import dataset_groups
from services.engine.personalize.context import OperationContext
from services.engine.personalize.members import (
    ArnText,
    Page,
    ResourceName,
    StatusView,
    Tagged,
    WireModel,
)
from shared.aws import WireError
from shared.events import TrackerChanged
from shared.events.topics import TRACKERS


class CreateEventTracker(Tagged):
    """A new tracker."""

    name: ResourceName
    dataset_group_arn: ArnText


class EventTrackerCreated(WireModel):
    """Where it is, and the id that events carry."""

    event_tracker_arn: str
    tracking_id: str


class EventTrackerName(WireModel):
    """Which tracker."""

    event_tracker_arn: ArnText


class ListEventTrackers(Page):
    """The trackers of a group, or of all."""

    dataset_group_arn: ArnText | None = None


class EventTrackerSummary(StatusView):
    """A tracker in a list."""

    arn_member = "eventTrackerArn"

    name: str
    event_tracker_arn: str


class EventTracker(EventTrackerSummary):
    """A tracker."""

    account_id: str
    tracking_id: str
    dataset_group_arn: str


class EventTrackerDescribed(WireModel):
    """The answer to Describe."""

    event_tracker: EventTracker


class EventTrackersListed(WireModel):
    """One page."""

    event_trackers: list[EventTrackerSummary]
    next_token: str | None = None


async def create(context: OperationContext, request: CreateEventTracker) -> EventTrackerCreated:
    """Make the group's tracker."""
    group = await dataset_groups.lock_active(context, request.dataset_group_arn)
    tracker = await create_tracker(context, request, group, str(uuid.uuid4()))
    return EventTrackerCreated(event_tracker_arn=tracker.arn, tracking_id=tracker.document["trackingId"])


async def create_tracker(
    context: OperationContext, request: CreateEventTracker, group: Resource, tracking_id: str
) -> Resource:
    """A tracker with a given tracking id."""
    if await context.resources.children(group.path, Type.EVENT_TRACKER, with_deleting=True):
        message = f"The dataset group {group.arn} has an event tracker already; it can have one."
        raise WireError("ResourceAlreadyExistsException", message)
    if await context.resources.has_name(Type.EVENT_TRACKER, request.name):
        message = f"Another event tracker with the name {request.name} already exists."
        raise WireError("ResourceAlreadyExistsException", message)
    tracker = await context.create(
        NewResource(
            Type.EVENT_TRACKER,
            f"{Type.EVENT_TRACKER}/{secrets.token_hex(4)}",
            request.name,
            group.owner,
            {"datasetGroupArn": group.arn, "trackingId": tracking_id},
            parent=group.path,
        ),
        request,
    )
    await context.events.publish(TRACKERS, tracker_changed(tracker))
    return tracker


def tracker_changed(tracker: Resource) -> TrackerChanged:
    """The state of a tracker as an event."""
    return TrackerChanged(
        event_id=str(uuid.uuid4()),
        tenant=tracker.owner,
        occurred_at=datetime.now(UTC),
        name=tracker.name,
        arn=tracker.arn,
        tracking_id=tracker.document["trackingId"],
        status=tracker.status,
    )


async def describe(context: OperationContext, request: EventTrackerName) -> EventTrackerDescribed:
    """Show a tracker."""
    tracker = await context.find(request.event_tracker_arn, Type.EVENT_TRACKER)
    return EventTrackerDescribed(event_tracker=EventTracker.of(tracker, accountId=tracker.account))


async def list_page(context: OperationContext, request: ListEventTrackers) -> EventTrackersListed:
    """List trackers."""
    group = (
        await context.find(request.dataset_group_arn, Type.DATASET_GROUP)
        if request.dataset_group_arn
        else None
    )
    shown, token = await context.list_page(request, Type.EVENT_TRACKER, EventTrackerSummary, group)
    return EventTrackersListed(event_trackers=shown, next_token=token)


async def delete(context: OperationContext, request: EventTrackerName) -> None:
    """Delete a tracker: events with its id are refused from now on."""
    tracker = await context.find(request.event_tracker_arn, Type.EVENT_TRACKER, lock=True)
    await context.resources.begin_deletion(tracker)
    await context.events.publish_tombstone(TRACKERS, tracker.owner, tracker_changed(tracker).key)
