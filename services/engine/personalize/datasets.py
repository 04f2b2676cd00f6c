"""Datasets: one of each type in a group."""

from __future__ import annotations

from typing import Annotated

from pydantic import StringConstraints

from services.engine.domain import locations
from services.engine.domain import schemas as avro
from services.engine.domain.resources import UNFINISHED, NewResource, Type
from services.engine.personalize import dataset_groups, unsupported
from services.engine.personalize.context import OperationContext, check_no_dependents, in_use
from services.engine.personalize.members import (
    ArnText,
    Page,
    ResourceName,
    StatusView,
    Tagged,
    Update,
    WireModel,
    active_update,
)
from services.engine.store import datasets as stored
from shared.aws import WireError, invalid_input


class CreateDataset(Tagged):
    """A new dataset; its type is compared without case."""

    name: ResourceName
    schema_arn: ArnText
    dataset_group_arn: ArnText
    dataset_type: Annotated[str, StringConstraints(max_length=256, pattern=r"^[A-Za-z_]+$")]


class DatasetCreated(WireModel):
    """Where it is."""

    dataset_arn: str


class DatasetName(WireModel):
    """Which dataset."""

    dataset_arn: ArnText


class UpdateDataset(WireModel):
    """Another schema for a dataset."""

    dataset_arn: ArnText
    schema_arn: ArnText


class ListDatasets(Page):
    """The datasets of a group, or of all."""

    dataset_group_arn: ArnText | None = None


class DatasetSummary(StatusView):
    """A dataset in a list."""

    arn_member = "datasetArn"

    name: str
    dataset_arn: str
    dataset_type: str


class DatasetUpdate(Update):
    """The newest update of a dataset."""

    schema_arn: str


class Dataset(DatasetSummary):
    """A dataset."""

    dataset_group_arn: str
    schema_arn: str
    tracking_id: str | None = None
    latest_dataset_update: DatasetUpdate | None = None


class DatasetDescribed(WireModel):
    """The answer to Describe."""

    dataset: Dataset


class DatasetsListed(WireModel):
    """One page."""

    datasets: list[DatasetSummary]
    next_token: str | None = None


async def create(context: OperationContext, request: CreateDataset) -> DatasetCreated:
    """Make a dataset whose schema fits its type; it is ACTIVE at once, and empty."""
    kind = request.dataset_type.upper()
    if f"datasetType {kind}" in unsupported.ALTERNATIVES:
        raise unsupported.error(f"datasetType {kind}")
    if kind not in avro.DATASET_TYPES:
        raise invalid_input(
            f"The dataset type {request.dataset_type!r} is not supported: it is one of "
            f"{', '.join(avro.DATASET_TYPES)}."
        )
    group = await dataset_groups.lock_active(context, request.dataset_group_arn)
    schema = await context.find(request.schema_arn, Type.SCHEMA, lock=True)
    avro.check(avro.parse(schema.document["schema"]), kind, group.document.get("domain"))
    siblings = await context.resources.children(group.path, Type.DATASET, with_deleting=True)
    if any(sibling.document["datasetType"] == kind for sibling in siblings):
        message = f"The dataset group {group.arn} has a dataset of type {kind} already."
        raise WireError("ResourceAlreadyExistsException", message)
    dataset = await context.create(
        NewResource(
            Type.DATASET,
            f"{Type.DATASET}/{group.name}/{kind}",
            request.name,
            group.owner,
            {"datasetGroupArn": group.arn, "datasetType": kind, "schemaArn": schema.arn},
            parent=group.path,
        ),
        request,
    )
    return DatasetCreated(dataset_arn=dataset.arn)


async def describe(context: OperationContext, request: DatasetName) -> DatasetDescribed:
    """Show a dataset; one of interactions shows its group's tracking id."""
    dataset = await context.find(request.dataset_arn, Type.DATASET)
    more = {}
    if dataset.document["datasetType"] == "INTERACTIONS" and dataset.parent:
        trackers = await context.resources.children(dataset.parent, Type.EVENT_TRACKER)
        if trackers:
            more = {"trackingId": trackers[0].document["trackingId"]}
    return DatasetDescribed(dataset=Dataset.of(dataset, **more))


async def list_page(context: OperationContext, request: ListDatasets) -> DatasetsListed:
    """List datasets."""
    group = (
        await context.find(request.dataset_group_arn, Type.DATASET_GROUP)
        if request.dataset_group_arn
        else None
    )
    shown, token = await context.list_page(request, Type.DATASET, DatasetSummary, group)
    return DatasetsListed(datasets=shown, next_token=token)


async def update(context: OperationContext, request: UpdateDataset) -> DatasetCreated:
    """Give a dataset a wider schema: what it holds already must fit the new one too."""
    # The schema first: that is the order in which Create locks the two.
    schema = await context.find(request.schema_arn, Type.SCHEMA, lock=True)
    dataset = await context.find(request.dataset_arn, Type.DATASET, lock=True)
    group = await context.find(dataset.document["datasetGroupArn"], Type.DATASET_GROUP)
    fresh = avro.parse(schema.document["schema"])
    avro.check(fresh, dataset.document["datasetType"], group.document.get("domain"))
    before = await context.find(dataset.document["schemaArn"], Type.SCHEMA)
    avro.check_replaces(fresh, avro.parse(before.document["schema"]))
    changed = {"schemaArn": schema.arn}
    latest = {"latestDatasetUpdate": active_update(**changed)}
    await context.resources.update(dataset, document=changed | latest)
    return DatasetCreated(dataset_arn=dataset.arn)


async def delete(context: OperationContext, request: DatasetName) -> None:
    """Delete a dataset with its jobs, unless its group is being trained; what was imported goes later."""
    dataset = await context.find(request.dataset_arn, Type.DATASET, lock=True)
    for kind in (Type.SOLUTION_VERSION, Type.RECOMMENDER_TRAINING):
        if await context.resources.count_unfinished(dataset.owner, kind):
            raise in_use(f"{dataset.arn} is in use: a version of its group is being trained; wait for it.")
    jobs = await context.resources.children(dataset.path, Type.DATASET_IMPORT_JOB, Type.DATASET_EXPORT_JOB)
    check_no_dependents([job for job in jobs if job.status in UNFINISHED], dataset)
    parts = await stored.parts(context.resources.connection, dataset.id)
    left = locations.unused_prefixes(dataset.owner, [part.key for part in parts])
    for job in jobs:
        await context.resources.delete(job)
        left |= set(job.facts.get("folders", []))
    for prefix in left:
        await context.resources.discard(prefix, context.settings.garbage_hours)
    await context.resources.begin_deletion(dataset)
