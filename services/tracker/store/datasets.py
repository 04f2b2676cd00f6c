"""The schemas of datasets, for what is put into them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TypeVar

from services.tracker.domain.columns import Columns, Kind
from services.tracker.store.tenants import SQL
from shared.aws import WireError, not_found
from shared.lookup_cache import LookupCache
from shared.postgres import Database

Puts = TypeVar("Puts")

_TYPES: Mapping[Kind, str] = {"item": "ITEMS", "user": "USERS"}


@dataclass(frozen=True, slots=True)
class _Dataset:
    """A dataset; its `columns` are None where they say nothing of what may be put into it."""

    columns: Columns | None


class Datasets:
    """The datasets of tenants and their columns, remembered for a minute."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._datasets = LookupCache(self._dataset_of)

    async def read(self, tenant: str, kind: Kind, arn: str, read: Callable[[Columns | None], Puts]) -> Puts:
        """Return what `read` makes of the columns of a tenant's dataset, whose ARN is for the error alone.

        Before it refuses, the dataset is looked up again: it may be younger than what is remembered, or have
        another schema by now. Raises ResourceNotFoundException where the tenant has no such dataset.
        """
        dataset = await self._datasets.get((tenant, kind))
        if dataset is not None:
            try:
                return read(dataset.columns)
            except WireError:
                pass
        self._datasets.forget((tenant, kind))
        dataset = await self._datasets.get((tenant, kind))
        if dataset is None:
            raise not_found(f"There is no dataset with the ARN {arn}: create the dataset first.")
        return read(dataset.columns)

    async def _dataset_of(self, key: tuple[str, Kind]) -> _Dataset | None:
        tenant, kind = key
        row = await self._database.fetchrow(*SQL.dataset_schema(tenant=tenant, dataset_type=_TYPES[kind]))
        if row is None:
            return None
        return _Dataset(None if row["of_trainer"] else Columns.of(kind, row["schema"]))
