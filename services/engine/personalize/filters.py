"""Filters: what may be recommended, as an expression over items, users and what users did."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime
from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from services.engine.domain import schemas as avro
from services.engine.domain.resources import NewResource, Resource, Type
from services.engine.personalize import dataset_groups
from services.engine.personalize.context import OperationContext
from services.engine.personalize.members import (
    ArnText,
    Page,
    ResourceName,
    StatusView,
    Tagged,
    Text,
    WireModel,
    document,
)
from shared.aws import invalid_input
from shared.events import FilterChanged
from shared.events.topics import FILTERS
from shared.filters import Filter


class CreateFilter(Tagged):
    """A new filter. It never changes: make another for another expression."""

    name: ResourceName
    dataset_group_arn: ArnText
    filter_expression: Annotated[Text, StringConstraints(min_length=1, max_length=2500)]


class FilterName(WireModel):
    """Which filter: what is asked, and what Create answers."""

    filter_arn: ArnText


class ListFilters(Page):
    """The filters of a group, or of all."""

    dataset_group_arn: ArnText | None = None


class FilterSummary(StatusView):
    """A filter in a list."""

    arn_member = "filterArn"

    name: str
    filter_arn: str
    dataset_group_arn: str


class FilterView(FilterSummary):
    """A filter."""

    filter_expression: str


class FilterDescribed(WireModel):
    """The answer to Describe."""

    described: FilterView = Field(alias="filter")


class FiltersListed(WireModel):
    """One page. The service spells this member with a capital letter, alone among all."""

    filters: list[FilterSummary] = Field(alias="Filters")
    next_token: str | None = None


async def create(context: OperationContext, request: CreateFilter) -> FilterName:
    """Keep an expression that can be read and names fields of the group's schemas; ACTIVE at once."""
    group = await dataset_groups.lock_active(context, request.dataset_group_arn)
    Filter.parse(request.filter_expression).check(await _columns(context, group))
    made = await context.create(
        NewResource(
            Type.FILTER,
            f"{Type.FILTER}/{request.name}",
            request.name,
            group.owner,
            document(request, "dataset_group_arn") | {"datasetGroupArn": group.arn},
            parent=group.path,
        ),
        request,
    )
    await context.events.publish(FILTERS, filter_changed(made))
    return FilterName(filter_arn=made.arn)


async def expression_for_job(
    context: OperationContext, arn: str | None, tenant: str, selects: Literal["item", "user"]
) -> dict[str, str]:
    """The facts of a batch job: the expression of its filter, which must suit the job and its group."""
    if arn is None:
        return {}
    found = await context.find(arn, Type.FILTER)
    if found.owner != tenant:
        raise invalid_input(f"The filter {arn} belongs to another dataset group than the solution version.")
    chosen = Filter.parse(found.document["filterExpression"])
    if chosen.selects != selects:
        raise invalid_input(f"The filter {arn} selects {chosen.selects}s; this job needs one of {selects}s.")
    return {"filter": found.document["filterExpression"]}


async def _columns(context: OperationContext, group: Resource) -> dict[str, tuple[avro.Column, ...]]:
    """The columns of the group's datasets, by type."""
    columns = {}
    for dataset in await context.resources.children(group.path, Type.DATASET):
        schema = await context.find(dataset.document["schemaArn"], Type.SCHEMA)
        columns[dataset.document["datasetType"]] = avro.parse(schema.document["schema"]).columns
    return columns


def filter_changed(made: Resource) -> FilterChanged:
    """The state of a filter as an event."""
    return FilterChanged(
        event_id=str(uuid.uuid4()),
        tenant=made.owner,
        occurred_at=datetime.now(UTC),
        name=made.name,
        arn=made.arn,
        status=made.status,
        expression=made.document["filterExpression"],
    )


async def describe(context: OperationContext, request: FilterName) -> FilterDescribed:
    """Show a filter."""
    found = await context.find(request.filter_arn, Type.FILTER)
    return FilterDescribed(described=FilterView.of(found))


async def list_page(context: OperationContext, request: ListFilters) -> FiltersListed:
    """List filters."""
    group = (
        await context.find(request.dataset_group_arn, Type.DATASET_GROUP)
        if request.dataset_group_arn
        else None
    )
    shown, token = await context.list_page(request, Type.FILTER, FilterSummary, group)
    return FiltersListed(filters=shown, next_token=token)


async def delete(context: OperationContext, request: FilterName) -> None:
    """Delete a filter: requests that name it are refused from now on; batch jobs under way go on."""
    found = await context.find(request.filter_arn, Type.FILTER, lock=True)
    await context.resources.begin_deletion(found)
    await context.events.publish_tombstone(FILTERS, found.owner, filter_changed(found).key)
