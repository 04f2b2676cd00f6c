"""The generations that have lists in Postgres: those that a variant may name."""

from __future__ import annotations

from typing import TYPE_CHECKING

from services.recommender.store import SQL
from shared.errors import ApiError
from shared.lookup_cache import LookupCache

if TYPE_CHECKING:
    from shared.postgres import Database


class StoredGenerations:
    """Reads the loader's view, and caches the results for a minute, or while Postgres is unavailable."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._stored: LookupCache[tuple[str, int], bool] = LookupCache(self._read)

    async def has(self, tenant: str, generation: int) -> bool:
        """Return whether a tenant has lists of a generation; True if that is unknown without Postgres."""
        key = tenant, generation
        if self._stored.fresh(key):
            return True
        try:
            return bool(await self._stored.get(key))
        except ApiError:
            return True

    async def _read(self, key: tuple[str, int]) -> bool | None:
        tenant, generation = key
        statement = SQL.has_generation(tenant=tenant, generation=generation)
        return True if await self._database.fetchval(*statement) else None
