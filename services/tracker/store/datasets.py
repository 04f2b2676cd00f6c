"""The schemas of datasets, for what is put into them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from services.tracker.domain.columns import Columns, Kind
from services.tracker.store.tenants import SQL
from shared.auth.recall import Recall
from shared.personalize import invalid_input
from shared.postgres import Database

_TYPES: Mapping[Kind, str] = {"item": "ITEMS", "user": "USERS"}


class Datasets:
    """What the datasets of tenants take, remembered for a minute."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._columns = Recall(self._columns_of)

    async def check(self, tenant: str, kind: Kind, said: Sequence[Mapping[str, Any]]) -> None:
        """InvalidInputException for properties that the dataset's schema can't take.

        Anything is taken where there is no dataset, or one that the trainer has made for itself.
        """
        if self._problem(await self._columns.get((tenant, kind)), said) is None:
            return
        # The dataset may have got another schema since its columns were remembered.
        self._columns.forget((tenant, kind))
        problem = self._problem(await self._columns.get((tenant, kind)), said)
        if problem is not None:
            raise invalid_input(problem)

    def _problem(self, columns: Columns | None, said: Sequence[Mapping[str, Any]]) -> str | None:
        if columns is None:
            return None
        for place, one in enumerate(said):
            problem = columns.problem(one)
            if problem is not None:
                return f"{columns.kind}s.{place}.properties: {problem}."
        return None

    async def _columns_of(self, key: tuple[str, Kind]) -> Columns | None:
        tenant, kind = key
        row = await self._database.fetchrow(*SQL.dataset_schema(tenant=tenant, dataset_type=_TYPES[kind]))
        return Columns.of(kind, row["schema"]) if row else None
