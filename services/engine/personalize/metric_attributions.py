"""Metric attributions: they sum events by the campaign or other source to which they are attributed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Annotated

from pydantic import Field

from services.engine.domain import state
from services.engine.domain.attribution import Metric
from services.engine.domain.resources import ResourceType
from services.engine.personalize import datasets, job_locations
from services.engine.personalize.context import NewState, OperationContext, already_exists
from services.engine.personalize.dataset_groups import lock_active
from services.engine.personalize.members import (
    ArnText,
    Page,
    ResourceName,
    ShortText,
    StatusView,
    WireModel,
)
from shared.aws import WireError, invalid_input, not_found
from shared.errors import Permanent

MAX_METRICS = 10
"""Metrics of a metric attribution; a limit of Amazon Personalize."""


Metrics = Annotated[tuple[state.MetricAttribute, ...], Field(max_length=MAX_METRICS)]


class CreateMetricAttribution(WireModel):
    """The request of CreateMetricAttribution."""

    name: ResourceName
    dataset_group_arn: ArnText
    metrics: Metrics
    metrics_output_config: state.MetricAttributionOutput


class UpdateMetricAttribution(WireModel):
    """The request of UpdateMetricAttribution; members that are absent stay as they are."""

    metric_attribution_arn: ArnText | None = None
    add_metrics: Metrics = ()
    remove_metrics: Annotated[tuple[ShortText, ...], Field(max_length=MAX_METRICS)] = ()
    metrics_output_config: state.MetricAttributionOutput | None = None


class MetricAttributionName(WireModel):
    """The ARN of a metric attribution, in requests and answers."""

    metric_attribution_arn: ArnText


class ListMetricAttributions(Page):
    """The request of ListMetricAttributions."""

    dataset_group_arn: ArnText | None = None


class ListMetricAttributionMetrics(Page):
    """The request of ListMetricAttributionMetrics."""

    metric_attribution_arn: ArnText | None = None


class MetricAttributionSummary(StatusView):
    """The view of a metric attribution in a list."""

    arn_member = "metricAttributionArn"

    name: str
    metric_attribution_arn: str


class MetricAttribution(MetricAttributionSummary):
    """The view of a metric attribution in the answer to Describe."""

    dataset_group_arn: str
    metrics_output_config: state.MetricAttributionOutput


class MetricAttributionDescribed(WireModel):
    """The answer to DescribeMetricAttribution."""

    metric_attribution: MetricAttribution


class MetricAttributionsListed(WireModel):
    """One page of the answer to ListMetricAttributions."""

    metric_attributions: list[MetricAttributionSummary]
    next_token: str | None = None


class MetricsListed(WireModel):
    """One page of the answer to ListMetrics."""

    metrics: list[state.MetricAttribute]
    next_token: str | None = None


async def create(context: OperationContext, request: CreateMetricAttribution) -> MetricAttributionName:
    """Count the events of a dataset group from now on.

    Raise WireError: LimitExceededException if the dataset group has a metric attribution,
    InvalidInputException for metrics that it cannot have.
    """
    group = await lock_active(context, request.dataset_group_arn)
    existing = await context.resources.children(
        group.path, ResourceType.METRIC_ATTRIBUTION, with_deleting=True
    )
    if existing:
        message = f"The dataset group {group.arn} has the metric attribution {existing[0].arn} already."
        raise WireError("LimitExceededException", message)
    store_key = await _check_output(context, request.metrics_output_config, group.owner)
    await _check_metrics(context, group, request.metrics)
    document = state.MetricAttributionDocument(
        dataset_group_arn=group.arn, metrics_output_config=request.metrics_output_config
    )
    new = NewState(
        f"{ResourceType.METRIC_ATTRIBUTION}/{request.name}",
        request.name,
        group.owner,
        document,
        state.MetricAttributionFacts(store_key=store_key, metrics=request.metrics),
        parent=group.path,
    )
    attribution = await context.create(state.MetricAttribution, new)
    return MetricAttributionName(metric_attribution_arn=str(attribution.arn))


async def update(context: OperationContext, request: UpdateMetricAttribution) -> MetricAttributionName:
    """Add and remove metrics, or replace the output folder; what was counted before stays.

    Raise WireError: ResourceNotFoundException if a metric to remove does not exist,
    ResourceAlreadyExistsException if a metric to add does, and as `create` does.
    """
    attribution = await _find_attribution(context, request.metric_attribution_arn, lock=True)
    metrics = _changed_metrics(attribution, request)
    group = await context.find(attribution.document.dataset_group_arn, state.DatasetGroup)
    await _check_metrics(context, group, metrics)
    document, store_key = attribution.document, attribution.facts.store_key
    if request.metrics_output_config is not None:
        store_key = await _check_output(context, request.metrics_output_config, attribution.owner)
        document = document.model_copy(update={"metrics_output_config": request.metrics_output_config})
    facts = attribution.facts.model_copy(update={"metrics": metrics, "store_key": store_key})
    await context.resources.save(attribution, document=document, facts=facts)
    return MetricAttributionName(metric_attribution_arn=str(attribution.arn))


def _changed_metrics(
    attribution: state.MetricAttribution, request: UpdateMetricAttribution
) -> tuple[state.MetricAttribute, ...]:
    metrics = {metric.metric_name: metric for metric in attribution.facts.metrics}
    for name in request.remove_metrics:
        if metrics.pop(name, None) is None:
            raise not_found(f"{attribution.arn} has no metric {name}.")
    for metric in request.add_metrics:
        if metric.metric_name in metrics:
            raise already_exists(f"{attribution.arn} has a metric {metric.metric_name} already.")
    return (*metrics.values(), *request.add_metrics)


async def _check_output(
    context: OperationContext, output: state.MetricAttributionOutput, tenant: str
) -> str | None:
    destination = output.s3_data_destination
    writes = [] if destination is None else [(destination.path, job_locations.INVALID_OUTPUT_PATH)]
    return await job_locations.check_access(context, tenant, writes=writes)


async def _check_metrics(
    context: OperationContext, group: state.DatasetGroup, metrics: Sequence[state.MetricAttribute]
) -> None:
    if len(metrics) > MAX_METRICS:
        raise invalid_input(f"A metric attribution has at most {MAX_METRICS} metrics, not {len(metrics)}.")
    counts = Counter(metric.metric_name for metric in metrics)
    duplicates = sorted(name for name, count in counts.items() if count > 1)
    if duplicates:
        raise invalid_input(
            f"Each metric needs a name of its own; these came twice: {', '.join(duplicates)}."
        )
    columns = await _numeric_columns(context, group)
    for attribute in metrics:
        try:
            metric = Metric.parse(attribute.metric_name, attribute.event_type, attribute.expression)
        except Permanent as error:
            raise invalid_input(str(error)) from None
        if metric.dataset is not None and metric.column.upper() not in columns.get(metric.dataset, set()):
            raise invalid_input(
                f"The metric {metric.name} sums {metric.column}, which is no column of numbers in the "
                f"{metric.dataset.title()} dataset of the dataset group."
            )


async def _numeric_columns(context: OperationContext, group: state.DatasetGroup) -> dict[str, set[str]]:
    """Return the names of the numeric columns in upper case, by dataset type."""
    columns = {"INTERACTIONS": {"EVENT_VALUE"}}
    for dataset_type, schema in (await datasets.schemas_of_group(context, group)).items():
        numeric = {
            column.name.upper() for column in schema.columns if column.type not in {"string", "boolean"}
        }
        columns.setdefault(dataset_type, set()).update(numeric)
    return columns


async def _find_attribution(
    context: OperationContext, arn: str | None, *, lock: bool = False
) -> state.MetricAttribution:
    if arn is None:
        raise invalid_input("metricAttributionArn is missing.")
    return await context.find(arn, state.MetricAttribution, lock=lock)


async def describe(context: OperationContext, request: MetricAttributionName) -> MetricAttributionDescribed:
    """Describe a metric attribution."""
    attribution = await _find_attribution(context, request.metric_attribution_arn)
    return MetricAttributionDescribed(metric_attribution=MetricAttribution.of(attribution))


async def list_page(context: OperationContext, request: ListMetricAttributions) -> MetricAttributionsListed:
    """List metric attributions."""
    group = await context.find_optional(request.dataset_group_arn, state.DatasetGroup)
    views, token = await context.list_page(request, state.MetricAttribution, MetricAttributionSummary, group)
    return MetricAttributionsListed(metric_attributions=views, next_token=token)


async def list_metrics(context: OperationContext, request: ListMetricAttributionMetrics) -> MetricsListed:
    """List the metrics of a metric attribution."""
    attribution = await _find_attribution(context, request.metric_attribution_arn)
    listing = f"ListMetricAttributionMetrics {attribution.id}"
    begin = context.tokens.read(listing, request.next_token) if request.next_token else 0
    end = begin + request.max_results
    metrics = attribution.facts.metrics
    return MetricsListed(
        metrics=list(metrics[begin:end]),
        next_token=context.tokens.issue(listing, end) if end < len(metrics) else None,
    )


async def delete(context: OperationContext, request: MetricAttributionName) -> None:
    """Delete a metric attribution and what it has counted; its CSV files stay."""
    attribution = await _find_attribution(context, request.metric_attribution_arn, lock=True)
    await context.resources.begin_deletion(attribution)
