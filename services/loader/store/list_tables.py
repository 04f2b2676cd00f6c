"""Active lists as tables: one for each recipe, and one of all."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Final

from services.loader.domain import RECIPES_WITHOUT_USERS
from services.loader.store.sql import SQL

if TYPE_CHECKING:
    from shared.postgres import Database

ALL: Final = "recommendations"
"""The name of the table of all lists, or the end of its name."""


@dataclass(frozen=True, slots=True)
class ListTable:
    """The active lists of a recipe, or of all; `key` is what a list is for, `bytes` its share of the disk."""

    name: str
    key: str
    generation: int
    activated_at: datetime
    lists: int
    bytes: int


class ListTables:
    """Reads the numbers and sizes of active lists."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def of_tenant(self, tenant: str) -> list[ListTable]:
        """Return the tables of a tenant, that of all lists first; none before the first generation."""
        rows = await self._database.fetch(*SQL.active_tables(tenant=tenant))
        tables = [
            ListTable(
                row["recipe"],
                "itemId" if row["recipe"] in RECIPES_WITHOUT_USERS else "userId",
                row["generation"],
                row["activated_at"],
                row["lists"],
                int(row["bytes"] * row["lists"] / max(row["all_lists"], 1)),
            )
            for row in rows
        ]
        if not tables:
            return []
        whole = ListTable(
            ALL,
            "userId",
            max(table.generation for table in tables),
            max(table.activated_at for table in tables),
            sum(table.lists for table in tables),
            sum(table.bytes for table in tables),
        )
        return [whole, *tables]
