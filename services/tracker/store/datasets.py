"""Look up the schemas of datasets, which validate the records of PutItems and PutUsers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TypeVar

from services.tracker.domain.dataset_schema import DatasetSchema, Kind
from services.tracker.store.tenants import SQL
from shared.aws import WireError, not_found
from shared.lookup_cache import LookupCache
from shared.postgres import Database

Puts = TypeVar("Puts")

_TYPES: Mapping[Kind, str] = {"item": "ITEMS", "user": "USERS"}


@dataclass(frozen=True, slots=True)
class _Dataset:
    """A dataset. `schema` is None for a dataset that the trainer has created, which accepts any property."""

    schema: DatasetSchema | None


class Datasets:
    """The datasets of tenants and their schemas, cached for a minute."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._datasets = LookupCache(self._find)

    async def with_schema(
        self, tenant: str, kind: Kind, arn: str, parse: Callable[[DatasetSchema | None], Puts]
    ) -> Puts:
        """Return `parse(schema)` for the schema of a tenant's dataset; `arn` is used in the error message.

        If `parse` raises WireError, it is called again with the current schema, since the cached one may be
        outdated. Raises WireError ResourceNotFoundException if the tenant has no such dataset.
        """
        dataset = await self._datasets.get((tenant, kind))
        if dataset is not None:
            try:
                return parse(dataset.schema)
            except WireError:
                pass
        self._datasets.forget((tenant, kind))
        dataset = await self._datasets.get((tenant, kind))
        if dataset is None:
            raise not_found(f"There is no dataset with the ARN {arn}: create the dataset first.")
        return parse(dataset.schema)

    async def _find(self, key: tuple[str, Kind]) -> _Dataset | None:
        tenant, kind = key
        row = await self._database.fetchrow(*SQL.dataset_schema(tenant=tenant, dataset_type=_TYPES[kind]))
        if row is None:
            return None
        return _Dataset(None if row["of_trainer"] else DatasetSchema.parse(kind, row["schema"]))
