"""The tenants of an account, for signed requests, whose key pair belongs to an account."""

from __future__ import annotations

from typing import TYPE_CHECKING

from services.recommender.store import SQL
from shared.lookup_cache import LookupCache

if TYPE_CHECKING:
    from shared.postgres import Database


class Accounts:
    """Reads the engine's view, and caches the results for a minute, or while Postgres is unavailable."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._tenants: LookupCache[str, list[str]] = LookupCache(self._read)

    async def tenants(self, account: str) -> list[str]:
        """Return the tenants of an account; raise ApiError (503) if they are unknown without Postgres."""
        return await self._tenants.get(account) or []

    async def _read(self, account: str) -> list[str] | None:
        tenants: list[str] | None = await self._database.fetchval(*SQL.tenants_of_account(account=account))
        return tenants
