"""Metric attributions: what events add up to, by the source that they are attributed to."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any

from pydantic import Field

from services.engine.domain import schemas
from services.engine.domain.attribution import Metric
from services.engine.domain.resources import NewResource, Resource, Type
from services.engine.personalize import job_locations
from services.engine.personalize.context import OperationContext
from services.engine.personalize.dataset_groups import lock_active
from services.engine.personalize.job_locations import S3DataConfig
from services.engine.personalize.members import (
    ArnText,
    Page,
    ResourceName,
    RoleArn,
    ShortText,
    StatusView,
    WireModel,
    document,
)
from shared.aws import WireError, invalid_input, not_found
from shared.errors import Permanent

MOST_METRICS = 10


class MetricAttribute(WireModel):
    """One metric."""

    event_type: ShortText
    metric_name: ShortText
    expression: ShortText


class MetricAttributionOutput(WireModel):
    """Where its files go, if anywhere."""

    s3_data_destination: S3DataConfig | None = None
    role_arn: RoleArn


Metrics = Annotated[tuple[MetricAttribute, ...], Field(max_length=MOST_METRICS)]


class CreateMetricAttribution(WireModel):
    """A new metric attribution."""

    name: ResourceName
    dataset_group_arn: ArnText
    metrics: Metrics
    metrics_output_config: MetricAttributionOutput


class UpdateMetricAttribution(WireModel):
    """Other metrics, or another place for the files."""

    metric_attribution_arn: ArnText | None = None
    add_metrics: Metrics = ()
    remove_metrics: Annotated[tuple[ShortText, ...], Field(max_length=MOST_METRICS)] = ()
    metrics_output_config: MetricAttributionOutput | None = None


class MetricAttributionName(WireModel):
    """Which one: what is asked, and what Create and Update answer."""

    metric_attribution_arn: ArnText


class ListMetricAttributions(Page):
    """Those of a group, or all."""

    dataset_group_arn: ArnText | None = None


class ListMetricAttributionMetrics(Page):
    """The metrics of one."""

    metric_attribution_arn: ArnText | None = None


class MetricAttributionSummary(StatusView):
    """A metric attribution in a list."""

    arn_member = "metricAttributionArn"

    name: str
    metric_attribution_arn: str


class MetricAttribution(MetricAttributionSummary):
    """A metric attribution."""

    dataset_group_arn: str
    metrics_output_config: MetricAttributionOutput


class MetricAttributionDescribed(WireModel):
    """The answer to Describe."""

    metric_attribution: MetricAttribution


class MetricAttributionsListed(WireModel):
    """One page."""

    metric_attributions: list[MetricAttributionSummary]
    next_token: str | None = None


class MetricsListed(WireModel):
    """One page of metrics."""

    metrics: list[MetricAttribute]
    next_token: str | None = None


async def create(context: OperationContext, request: CreateMetricAttribution) -> MetricAttributionName:
    """Count from now on; there is one metric attribution in a dataset group."""
    group = await lock_active(context, request.dataset_group_arn)
    others = await context.resources.children(group.path, Type.METRIC_ATTRIBUTION, with_deleting=True)
    if others:
        message = f"The dataset group {group.arn} has the metric attribution {others[0].arn} already."
        raise WireError("LimitExceededException", message)
    facts = await _facts_of_output(context, request.metrics_output_config, group.owner)
    await _check_metrics(context, group, request.metrics)
    made = await context.create(
        NewResource(
            Type.METRIC_ATTRIBUTION,
            f"{Type.METRIC_ATTRIBUTION}/{request.name}",
            request.name,
            group.owner,
            document(request, "dataset_group_arn", "metrics") | {"datasetGroupArn": group.arn},
            parent=group.path,
            facts=facts | {"metrics": _metric_documents(request.metrics)},
        )
    )
    return MetricAttributionName(metric_attribution_arn=made.arn)


async def update(context: OperationContext, request: UpdateMetricAttribution) -> MetricAttributionName:
    """Add and remove metrics, or move the files; what was counted stays."""
    found = await _find_attribution(context, request.metric_attribution_arn, lock=True)
    kept = {metric["metricName"]: metric for metric in found.facts["metrics"]}
    for name in request.remove_metrics:
        if kept.pop(name, None) is None:
            raise not_found(f"{found.arn} has no metric {name}.")
    for metric in request.add_metrics:
        if metric.metric_name in kept:
            message = f"{found.arn} has a metric {metric.metric_name} already."
            raise WireError("ResourceAlreadyExistsException", message)
    group = await context.find(found.document["datasetGroupArn"], Type.DATASET_GROUP)
    metrics = [MetricAttribute.model_validate(metric) for metric in kept.values()] + [*request.add_metrics]
    await _check_metrics(context, group, metrics)
    fresh: dict[str, Any] = {}
    facts: dict[str, Any] = {"metrics": _metric_documents(metrics)}
    if request.metrics_output_config is not None:
        facts |= await _facts_of_output(context, request.metrics_output_config, found.owner)
        fresh = document(request, "metric_attribution_arn", "add_metrics", "remove_metrics")
    await context.resources.update(found, document=fresh, facts=facts)
    return MetricAttributionName(metric_attribution_arn=found.arn)


def _metric_documents(metrics: Sequence[MetricAttribute]) -> list[dict[str, Any]]:
    return [metric.model_dump(by_alias=True) for metric in metrics]


async def _facts_of_output(
    context: OperationContext, output: MetricAttributionOutput, tenant: str
) -> dict[str, Any]:
    destination = output.s3_data_destination
    writes = [] if destination is None else [(destination.path, job_locations.INVALID_OUTPUT_PATH)]
    return await job_locations.check_access(context, tenant, writes=writes)


async def _check_metrics(
    context: OperationContext, group: Resource, metrics: Sequence[MetricAttribute]
) -> None:
    if len(metrics) > MOST_METRICS:
        raise invalid_input(f"A metric attribution has at most {MOST_METRICS} metrics, not {len(metrics)}.")
    names = [metric.metric_name for metric in metrics]
    doubled = sorted({name for name in names if names.count(name) > 1})
    if doubled:
        raise invalid_input(f"Each metric needs a name of its own; these came twice: {', '.join(doubled)}.")
    columns = await _numbers(context, group)
    for metric in metrics:
        try:
            parsed = Metric.parse(metric.metric_name, metric.event_type, metric.expression)
        except Permanent as error:
            raise invalid_input(str(error)) from None
        if parsed.dataset is not None and parsed.column.upper() not in columns.get(parsed.dataset, set()):
            raise invalid_input(
                f"The metric {parsed.name} sums {parsed.column}, which is no column of numbers in the "
                f"{parsed.dataset.title()} dataset of the dataset group."
            )


async def _numbers(context: OperationContext, group: Resource) -> dict[str, set[str]]:
    """The columns of numbers of the group's datasets, in upper case, by type."""
    columns = {"INTERACTIONS": {"EVENT_VALUE"}}
    for dataset in await context.resources.children(group.path, Type.DATASET):
        schema = await context.find(dataset.document["schemaArn"], Type.SCHEMA)
        found = schemas.parse(schema.document["schema"]).columns
        numbers = {column.name.upper() for column in found if column.type not in {"string", "boolean"}}
        columns.setdefault(dataset.document["datasetType"], set()).update(numbers)
    return columns


async def _find_attribution(context: OperationContext, arn: str | None, *, lock: bool = False) -> Resource:
    if arn is None:
        raise invalid_input("metricAttributionArn is missing.")
    return await context.find(arn, Type.METRIC_ATTRIBUTION, lock=lock)


async def describe(context: OperationContext, request: MetricAttributionName) -> MetricAttributionDescribed:
    """Show a metric attribution."""
    found = await _find_attribution(context, request.metric_attribution_arn)
    return MetricAttributionDescribed(metric_attribution=MetricAttribution.of(found))


async def list_page(context: OperationContext, request: ListMetricAttributions) -> MetricAttributionsListed:
    """List metric attributions."""
    arn = request.dataset_group_arn
    group = await context.find(arn, Type.DATASET_GROUP) if arn else None
    shown, token = await context.list_page(request, Type.METRIC_ATTRIBUTION, MetricAttributionSummary, group)
    return MetricAttributionsListed(metric_attributions=shown, next_token=token)


async def list_metrics(context: OperationContext, request: ListMetricAttributionMetrics) -> MetricsListed:
    """List the metrics of one."""
    found = await _find_attribution(context, request.metric_attribution_arn)
    listing = f"ListMetricAttributionMetrics {found.id}"
    begin = context.tokens.read(listing, request.next_token) if request.next_token else 0
    end = begin + request.max_results
    kept = found.facts["metrics"]
    return MetricsListed(
        metrics=[MetricAttribute.model_validate(metric) for metric in kept[begin:end]],
        next_token=context.tokens.issue(listing, end) if end < len(kept) else None,
    )


async def delete(context: OperationContext, request: MetricAttributionName) -> None:
    """Delete a metric attribution, and what it has counted; its files stay."""
    found = await _find_attribution(context, request.metric_attribution_arn, lock=True)
    await context.resources.begin_deletion(found)
