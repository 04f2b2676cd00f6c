"""The state of metric attributions."""

from __future__ import annotations

from typing import ClassVar

from services.engine.domain.members import RoleArn, ShortText
from services.engine.domain.resources import ResourceType
from services.engine.domain.s3_config import S3DataConfig
from services.engine.domain.state.jobs import JobFacts, JobState
from services.engine.domain.state.resource import ArnValue, Document
from shared.aws import WireModel


class MetricAttribute(WireModel):
    """One metric: the event type that it counts, its name, and its expression."""

    event_type: ShortText
    metric_name: ShortText
    expression: ShortText


class MetricAttributionOutput(WireModel):
    """The folder for the CSV files of a metric attribution, if it writes any."""

    s3_data_destination: S3DataConfig | None = None
    role_arn: RoleArn


class MetricAttributionDocument(Document):
    """The members of a metric attribution."""

    dataset_group_arn: ArnValue
    metrics_output_config: MetricAttributionOutput


class MetricAttributionFacts(JobFacts):
    """The metrics, which only ListMetricAttributionMetrics answers with."""

    metrics: tuple[MetricAttribute, ...] = ()


class MetricAttribution(JobState):
    """The metric attribution of a dataset group."""

    type: ClassVar[ResourceType] = ResourceType.METRIC_ATTRIBUTION
    document: MetricAttributionDocument
    facts: MetricAttributionFacts
