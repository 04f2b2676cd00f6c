"""Which tenant a signed request means: its key pair belongs to an account, the campaign to a tenant."""

from __future__ import annotations

from typing import TYPE_CHECKING

from services.router.store import SQL
from shared.lookup_cache import LookupCache

if TYPE_CHECKING:
    from shared.postgres import Database


class Accounts:
    """Looks into the engine's views, and remembers for a minute; while Postgres is away, for longer."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._tenants: LookupCache[str, list[str]] = LookupCache(self._ask_tenants)
        self._campaigns: LookupCache[tuple[str, str], str] = LookupCache(self._ask_campaign)

    async def tenants(self, account: str) -> list[str]:
        """The tenants of an account; 503 while that can't be known."""
        return await self._tenants.get(account) or []

    async def tenant_of_campaign(self, account: str, name: str) -> str | None:
        """Whose campaign it is; None for one that does not exist."""
        return await self._campaigns.get((account, name))

    async def _ask_tenants(self, account: str) -> list[str] | None:
        found: list[str] | None = await self._database.fetchval(*SQL.tenants_of_account(account=account))
        return found

    async def _ask_campaign(self, key: tuple[str, str]) -> str | None:
        account, name = key
        found: str | None = await self._database.fetchval(*SQL.tenant_of_campaign(account=account, name=name))
        return found
