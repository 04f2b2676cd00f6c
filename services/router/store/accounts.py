"""The tenant of a signed request: its key pair belongs to an account, its campaign to a tenant."""

from __future__ import annotations

from typing import TYPE_CHECKING

from services.router.store import SQL
from shared.lookup_cache import LookupCache

if TYPE_CHECKING:
    from shared.postgres import Database


class Accounts:
    """Reads the engine's views, and caches the results for a minute, or while Postgres is unavailable."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._tenants: LookupCache[str, list[str]] = LookupCache(self._read_tenants)
        self._campaigns: LookupCache[tuple[str, str], str] = LookupCache(self._read_tenant_of_campaign)

    async def tenants(self, account: str) -> list[str]:
        """Return the tenants of an account; raise ApiError (503) if they are unknown without Postgres."""
        return await self._tenants.get(account) or []

    async def tenant_of_campaign(self, account: str, name: str) -> str | None:
        """Return the tenant of a campaign; None if an account has no such campaign.

        Raise ApiError (503) if it is unknown without Postgres.
        """
        return await self._campaigns.get((account, name))

    async def _read_tenants(self, account: str) -> list[str] | None:
        tenants: list[str] | None = await self._database.fetchval(*SQL.tenants_of_account(account=account))
        return tenants

    async def _read_tenant_of_campaign(self, key: tuple[str, str]) -> str | None:
        account, name = key
        tenant: str | None = await self._database.fetchval(
            *SQL.tenant_of_campaign(account=account, name=name)
        )
        return tenant
