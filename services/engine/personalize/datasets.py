"""Datasets: a dataset group has at most one of each type."""

from __future__ import annotations

from typing import Annotated

from pydantic import StringConstraints

from services.engine.domain import locations, state
from services.engine.domain import schemas as avro
from services.engine.domain.resources import ResourceType
from services.engine.personalize import dataset_groups, unsupported
from services.engine.personalize.context import (
    NewState,
    OperationContext,
    already_exists,
    check_no_dependents,
    in_use,
)
from services.engine.personalize.members import (
    ArnText,
    Page,
    ResourceName,
    StatusView,
    Tagged,
    WireModel,
)
from services.engine.store import datasets as stored
from shared.aws import invalid_input


class CreateDataset(Tagged):
    """The request of CreateDataset."""

    name: ResourceName
    schema_arn: ArnText
    dataset_group_arn: ArnText
    dataset_type: Annotated[str, StringConstraints(max_length=256, pattern=r"^[A-Za-z_]+$")]


class DatasetCreated(WireModel):
    """The answer to CreateDataset."""

    dataset_arn: str


class DatasetName(WireModel):
    """The ARN of a dataset, in requests and answers."""

    dataset_arn: ArnText


class UpdateDataset(WireModel):
    """The request of UpdateDataset; members that are absent stay as they are."""

    dataset_arn: ArnText
    schema_arn: ArnText


class ListDatasets(Page):
    """The request of ListDatasets."""

    dataset_group_arn: ArnText | None = None


class DatasetSummary(StatusView):
    """The view of a dataset in a list."""

    arn_member = "datasetArn"

    name: str
    dataset_arn: str
    dataset_type: str


class Dataset(DatasetSummary):
    """The view of a dataset in the answer to Describe."""

    dataset_group_arn: str
    schema_arn: str
    tracking_id: str | None = None
    latest_dataset_update: state.DatasetUpdate | None = None


class DatasetDescribed(WireModel):
    """The answer to DescribeDataset."""

    dataset: Dataset


class DatasetsListed(WireModel):
    """One page of the answer to ListDatasets."""

    datasets: list[DatasetSummary]
    next_token: str | None = None


async def create(context: OperationContext, request: CreateDataset) -> DatasetCreated:
    """Create a dataset, whose schema must suit its type.

    Raise WireError: InvalidInputException for an unsupported type, ResourceAlreadyExistsException if the
    dataset group has a dataset of the type. Raise shared.errors.Permanent for a schema that does not suit.
    """
    kind = _dataset_type(request.dataset_type)
    group = await dataset_groups.lock_active(context, request.dataset_group_arn)
    schema = await context.find(request.schema_arn, state.Schema, lock=True)
    avro.check(avro.parse(schema.document.avro), kind, group.document.domain)
    siblings = await context.resources.list_children(state.Dataset, group.path, with_deleting=True)
    if any(sibling.document.dataset_type == kind for sibling in siblings):
        raise already_exists(f"The dataset group {group.arn} has a dataset of type {kind} already.")
    new = NewState(
        f"{ResourceType.DATASET}/{group.name}/{kind}",
        request.name,
        group.owner,
        state.DatasetDocument(dataset_group_arn=group.arn, dataset_type=kind, schema_arn=schema.arn),
        state.Facts(),
        parent=group.path,
    )
    dataset = await context.create(state.Dataset, new, request)
    return DatasetCreated(dataset_arn=str(dataset.arn))


def _dataset_type(name: str) -> avro.DatasetType:
    kind = name.upper()
    if f"datasetType {kind}" in unsupported.ALTERNATIVES:
        raise unsupported.error(f"datasetType {kind}")
    for known in avro.DATASET_TYPES:
        if kind == known:
            return known
    raise invalid_input(
        f"The dataset type {name!r} is not supported: it is one of {', '.join(avro.DATASET_TYPES)}."
    )


async def schemas_of_group(context: OperationContext, group: state.DatasetGroup) -> dict[str, avro.Schema]:
    """Return the parsed schemas of the datasets in a dataset group, by dataset type."""
    schemas: dict[str, avro.Schema] = {}
    for dataset in await context.resources.list_children(state.Dataset, group.path):
        schema = await context.find(dataset.document.schema_arn, state.Schema)
        schemas[dataset.document.dataset_type] = avro.parse(schema.document.avro)
    return schemas


async def describe(context: OperationContext, request: DatasetName) -> DatasetDescribed:
    """Describe a dataset; a dataset of interactions has the tracking id of its dataset group."""
    dataset = await context.find(request.dataset_arn, state.Dataset)
    computed = {}
    if dataset.document.dataset_type == "INTERACTIONS" and dataset.parent:
        trackers = await context.resources.list_children(state.EventTracker, dataset.parent)
        if trackers:
            computed = {"trackingId": trackers[0].document.tracking_id}
    return DatasetDescribed(dataset=Dataset.of(dataset, **computed))


async def list_page(context: OperationContext, request: ListDatasets) -> DatasetsListed:
    """List datasets."""
    group = await context.find_optional(request.dataset_group_arn, state.DatasetGroup)
    views, token = await context.list_page(request, state.Dataset, DatasetSummary, group)
    return DatasetsListed(datasets=views, next_token=token)


async def update(context: OperationContext, request: UpdateDataset) -> DatasetCreated:
    """Replace the schema of a dataset by one that its rows fit too.

    Raise shared.errors.Permanent if the new schema does not suit the type or the rows.
    """
    # The schema is locked first, as in `create`, so that the two never wait for each other.
    schema = await context.find(request.schema_arn, state.Schema, lock=True)
    dataset = await context.find(request.dataset_arn, state.Dataset, lock=True)
    group = await context.find(dataset.document.dataset_group_arn, state.DatasetGroup)
    new = avro.parse(schema.document.avro)
    avro.check(new, dataset.document.dataset_type, group.document.domain)
    old = await context.find(dataset.document.schema_arn, state.Schema)
    avro.check_replaces(new, avro.parse(old.document.avro))
    members = {
        "schema_arn": schema.arn,
        "latest_dataset_update": state.DatasetUpdate(schema_arn=schema.arn),
    }
    await context.resources.save(dataset, document=dataset.document.model_copy(update=members))
    return DatasetCreated(dataset_arn=str(dataset.arn))


async def delete(context: OperationContext, request: DatasetName) -> None:
    """Delete a dataset with its jobs; its files are deleted later.

    Raise WireError (ResourceInUseException) while the dataset group is trained or a job runs.
    """
    dataset = await context.find(request.dataset_arn, state.Dataset, lock=True)
    resources = context.resources
    for kind in (ResourceType.SOLUTION_VERSION, ResourceType.RECOMMENDER_TRAINING):
        if await resources.count_unfinished(dataset.owner, kind):
            raise in_use(f"{dataset.arn} is in use: a version of its group is being trained; wait for it.")
    imports = await resources.list_children(state.DatasetImportJob, dataset.path)
    exports = await resources.list_children(state.DatasetExportJob, dataset.path)
    jobs = [*imports, *exports]
    check_no_dependents([job for job in jobs if job.is_unfinished], dataset)
    parts = await stored.parts(resources.connection, dataset.id)
    prefixes = locations.unused_prefixes(dataset.owner, [part.key for part in parts])
    for job in jobs:
        await resources.delete(job)
    for job in imports:
        prefixes |= set(job.facts.folders or ())
    for prefix in prefixes:
        await resources.discard(prefix, context.settings.garbage_hours)
    await resources.begin_deletion(dataset)
