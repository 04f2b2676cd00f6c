"""Filters: expressions over items, users and interactions that select what may be recommended."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime
from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from services.engine.domain import schemas as avro
from services.engine.domain import state
from services.engine.domain.resources import ResourceType
from services.engine.personalize import dataset_groups, datasets
from services.engine.personalize.context import NewState, OperationContext
from services.engine.personalize.members import (
    ArnText,
    Page,
    ResourceName,
    StatusView,
    Tagged,
    Text,
    WireModel,
)
from shared.aws import invalid_input
from shared.events import FilterChanged
from shared.events.topics import FILTERS
from shared.filters import Filter


class CreateFilter(Tagged):
    """The request of CreateFilter."""

    name: ResourceName
    dataset_group_arn: ArnText
    filter_expression: Annotated[Text, StringConstraints(min_length=1, max_length=2500)]


class FilterName(WireModel):
    """The ARN of a filter, in requests and answers."""

    filter_arn: ArnText


class ListFilters(Page):
    """The request of ListFilters."""

    dataset_group_arn: ArnText | None = None


class FilterSummary(StatusView):
    """The view of a filter in a list."""

    arn_member = "filterArn"

    name: str
    filter_arn: str
    dataset_group_arn: str


class FilterView(FilterSummary):
    """The view of a filter in the answer to Describe."""

    filter_expression: str


class FilterDescribed(WireModel):
    """The answer to DescribeFilter."""

    described: FilterView = Field(alias="filter")


class FiltersListed(WireModel):
    """One page of the answer to ListFilters."""

    filters: list[FilterSummary] = Field(alias="Filters")
    next_token: str | None = None


async def create(context: OperationContext, request: CreateFilter) -> FilterName:
    """Create a filter, whose expression must name columns of the dataset group's schemas.

    Raise shared.errors.Permanent for an expression that cannot be parsed or names another column.
    """
    group = await dataset_groups.lock_active(context, request.dataset_group_arn)
    Filter.parse(request.filter_expression).check(await _columns(context, group))
    new = NewState(
        f"{ResourceType.FILTER}/{request.name}",
        request.name,
        group.owner,
        state.FilterDocument(dataset_group_arn=group.arn, filter_expression=request.filter_expression),
        state.Facts(),
        parent=group.path,
    )
    resource = await context.create(state.Filter, new, request)
    await context.events.publish(FILTERS, filter_changed(resource))
    return FilterName(filter_arn=str(resource.arn))


async def expression_for_job(
    context: OperationContext, arn: str | None, tenant: str, selects: Literal["item", "user"]
) -> str | None:
    """Return the expression of the filter of a batch job, or None without a filter.

    Raise WireError (InvalidInputException) if the filter belongs to another dataset group or does not select
    what the job returns.
    """
    if arn is None:
        return None
    resource = await context.find(arn, state.Filter)
    if resource.owner != tenant:
        raise invalid_input(f"The filter {arn} belongs to another dataset group than the solution version.")
    expression = resource.document.filter_expression
    selected = Filter.parse(expression).selects
    if selected != selects:
        raise invalid_input(f"The filter {arn} selects {selected}s; this job needs a filter of {selects}s.")
    return expression


async def _columns(
    context: OperationContext, group: state.DatasetGroup
) -> dict[str, tuple[avro.Column, ...]]:
    schemas = await datasets.schemas_of_group(context, group)
    return {dataset_type: schema.columns for dataset_type, schema in schemas.items()}


def filter_changed(resource: state.Filter) -> FilterChanged:
    """Return the event with the state of a filter."""
    return FilterChanged(
        event_id=str(uuid.uuid4()),
        tenant=resource.owner,
        occurred_at=datetime.now(UTC),
        name=resource.name,
        arn=str(resource.arn),
        status=resource.status,
        expression=resource.document.filter_expression,
    )


async def describe(context: OperationContext, request: FilterName) -> FilterDescribed:
    """Describe a filter."""
    resource = await context.find(request.filter_arn, state.Filter)
    return FilterDescribed(described=FilterView.of(resource))


async def list_page(context: OperationContext, request: ListFilters) -> FiltersListed:
    """List filters."""
    group = await context.find_optional(request.dataset_group_arn, state.DatasetGroup)
    views, token = await context.list_page(request, state.Filter, FilterSummary, group)
    return FiltersListed(filters=views, next_token=token)


async def delete(context: OperationContext, request: FilterName) -> None:
    """Delete a filter; requests that name it are refused from then on, running batch jobs continue."""
    resource = await context.find(request.filter_arn, state.Filter, lock=True)
    await context.resources.begin_deletion(resource)
    await context.events.publish_tombstone(FILTERS, resource.owner, filter_changed(resource).key)
