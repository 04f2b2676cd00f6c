"""The datasets of a dataset group: the objects with their rows, and their schemas."""

from __future__ import annotations

from typing import TYPE_CHECKING

from services.engine.domain import schemas
from services.engine.domain.resources import resource_path
from services.engine.domain.state import Dataset, ModelTraining, Schema
from services.engine.store import datasets, resources

if TYPE_CHECKING:
    from shared.postgres import Database


async def imported_objects(database: Database, training: ModelTraining) -> dict[str, list[str]]:
    """Return the keys of the objects of each dataset of a training's group, oldest first, by dataset type."""
    return {
        dataset.document.dataset_type: [part.key for part in await datasets.parts(database, dataset.id)]
        for dataset in await _datasets(database, training)
    }


async def dataset_schemas(database: Database, training: ModelTraining) -> dict[str, schemas.Schema]:
    """Return the schema of each dataset by dataset type, without datasets whose schema was deleted."""
    store = resources.in_account_of(database, training)
    parsed: dict[str, schemas.Schema] = {}
    for dataset in await _datasets(database, training):
        schema = await store.load(Schema, resource_path(dataset.document.schema_arn))
        if schema is not None:
            parsed[dataset.document.dataset_type] = schemas.parse(schema.document.avro)
    return parsed


async def _datasets(database: Database, training: ModelTraining) -> list[Dataset]:
    group = resource_path(training.document.dataset_group_arn)
    return await resources.in_account_of(database, training).list_children(Dataset, group)
