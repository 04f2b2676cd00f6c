"""Check a tenant's quota of items and users, which sync publishes in a view."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING, Any

import asyncpg
import structlog

from services.tracker.domain.dataset_schema import Kind
from services.tracker.store.tenants import SQL
from shared.aws import invalid_input
from shared.postgres import UNAVAILABLE

if TYPE_CHECKING:
    from shared.postgres import Database

_PLURALS: Mapping[Kind, str] = {"item": "items", "user": "users"}

log = structlog.get_logger()


class CatalogueQuotas:
    """Rejects new items and users beyond a tenant's quota before they are accepted."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def check(self, tenant: str, kind: Kind, ids: Collection[str]) -> None:
        """Raise WireError InvalidInputException if more of the ids are new than the tenant's quota allows.

        Nothing is rejected while Postgres is unavailable: sync merges what was accepted, to a limit beyond
        the quota.
        """
        distinct_ids = set(ids)
        try:
            quota = await self._database.fetchrow(*SQL.catalogue_quota(tenant=tenant, kind=_PLURALS[kind]))
            if quota is None or quota["most"] - quota["rows"] >= len(distinct_ids):
                return
            new = len(distinct_ids) - await self._count_known(tenant, kind, distinct_ids)
        except (*UNAVAILABLE, asyncpg.PostgresError) as error:
            log.warning("tracker.quota_unknown", tenant=tenant, error=repr(error))
            return
        if new > max(0, quota["most"] - quota["rows"]):
            raise invalid_input(_message(kind, new, quota))

    async def _count_known(self, tenant: str, kind: Kind, ids: set[str]) -> int:
        statement = SQL.known_items if kind == "item" else SQL.known_users
        return int(await self._database.fetchval(*statement(tenant=tenant, ids=list(ids))))


def _message(kind: Kind, new: int, quota: Mapping[str, Any]) -> str:
    plural = _PLURALS[kind]
    return (
        f"{new} of these {plural} are new. The dataset group has {quota['rows']:,} {plural}; its limit is "
        f"{quota['most']:,}. Delete some, or raise SYNC_MAX_{plural.upper()}."
    )
