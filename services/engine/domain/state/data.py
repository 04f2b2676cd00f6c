"""The states of dataset groups, schemas, datasets, event trackers and filters."""

from __future__ import annotations

from typing import Annotated, ClassVar

from pydantic import Field

from services.engine.domain.resources import ResourceType
from services.engine.domain.schemas import DatasetType
from services.engine.domain.state.resource import ArnValue, Document, Facts, ResourceState
from services.engine.domain.state.updates import DatasetUpdate


class DatasetGroupDocument(Document):
    """The members of a dataset group."""

    role_arn: str | None = None
    kms_key_arn: str | None = None
    domain: str | None = None


class DatasetGroup(ResourceState):
    """A dataset group, which is a tenant."""

    type: ClassVar[ResourceType] = ResourceType.DATASET_GROUP
    document: DatasetGroupDocument


class SchemaDocument(Document):
    """The members of a schema; `avro` is the text that CreateSchema got."""

    avro: Annotated[str, Field(alias="schema")]
    domain: str | None = None


class SchemaFacts(Facts):
    """The tenant whose key made the schema, or None for a key pair of the account."""

    made_by: str | None = None


class Schema(ResourceState):
    """A schema. It belongs to the account."""

    type: ClassVar[ResourceType] = ResourceType.SCHEMA
    document: SchemaDocument
    facts: SchemaFacts


class DatasetDocument(Document):
    """The members of a dataset."""

    dataset_group_arn: ArnValue
    dataset_type: DatasetType
    schema_arn: ArnValue
    latest_dataset_update: DatasetUpdate | None = None


class Dataset(ResourceState):
    """A dataset of a dataset group."""

    type: ClassVar[ResourceType] = ResourceType.DATASET
    document: DatasetDocument


class EventTrackerDocument(Document):
    """The members of an event tracker."""

    dataset_group_arn: ArnValue
    tracking_id: str


class EventTracker(ResourceState):
    """The event tracker of a dataset group."""

    type: ClassVar[ResourceType] = ResourceType.EVENT_TRACKER
    document: EventTrackerDocument


class FilterDocument(Document):
    """The members of a filter."""

    dataset_group_arn: ArnValue
    filter_expression: str


class Filter(ResourceState):
    """A filter of a dataset group."""

    type: ClassVar[ResourceType] = ResourceType.FILTER
    document: FilterDocument
