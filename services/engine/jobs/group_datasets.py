"""The datasets of a dataset group: the objects with their rows, and their schemas."""

from __future__ import annotations

from typing import TYPE_CHECKING

from services.engine.domain import schemas
from services.engine.domain.resources import Resource, Type
from services.engine.store import datasets, resources

if TYPE_CHECKING:
    from shared.postgres import Database


async def imported_objects(database: Database, resource: Resource) -> dict[str, list[str]]:
    """Return the keys of the objects of each dataset, oldest first, by dataset type.

    `resource` is a resource whose document names the dataset group.
    """
    return {
        dataset.document["datasetType"]: [part.key for part in await datasets.parts(database, dataset.id)]
        for dataset in await _datasets(database, resource)
    }


async def dataset_schemas(database: Database, resource: Resource) -> dict[str, schemas.Schema]:
    """Return the schema of each dataset by dataset type, without datasets whose schema was deleted."""
    store = resources.in_account_of(database, resource)
    parsed = {}
    for dataset in await _datasets(database, resource):
        schema = await store.get(dataset.document["schemaArn"].split(":", 5)[5])
        if schema is not None:
            parsed[dataset.document["datasetType"]] = schemas.parse(schema.document["schema"])
    return parsed


async def _datasets(database: Database, resource: Resource) -> list[Resource]:
    group = resource.document["datasetGroupArn"].split(":", 5)[5]
    return await resources.in_account_of(database, resource).children(group, Type.DATASET)
