"""The tenants' rules of intake, cached for a minute."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from services.tracker.domain.intake_rules import DEFAULT_RULES, IntakeRules, Rules
from services.tracker.store.tenants import SQL
from shared.lookup_cache import LookupCache

if TYPE_CHECKING:
    from collections.abc import Callable

    from shared.postgres import Database


class IntakeRulesTable:
    """Rules by tenant. A change holds within a minute in every process, at once in this one."""

    def __init__(self, database: Database, clock: Callable[[], float] = time.monotonic) -> None:
        """`clock` returns seconds and never goes back."""
        self._database = database
        self._cache = LookupCache(self._find, clock)

    async def of(self, tenant: str) -> IntakeRules:
        """Return the rules of a tenant; the last ones while Postgres is away.

        Raises ApiError 503 if they were never read and Postgres is away: other rules could let events
        without consent into personalization. The clients send these events again, as those with a key that
        can't be looked up.
        """
        return self._cache.fresh(tenant) or await self._cache.get(tenant) or DEFAULT_RULES

    async def read(self, tenant: str) -> Rules:
        """Return the rules as they were stored, else the default."""
        row = await self._database.fetchrow(*SQL.intake_rules(tenant=tenant))
        return Rules() if row is None else Rules.model_validate(row["rules"])

    async def save(self, tenant: str, rules: Rules) -> None:
        """Store the rules of a tenant."""
        document = rules.model_dump(mode="json")
        await self._database.execute(*SQL.save_intake_rules(tenant=tenant, rules=document))
        self._cache.forget(tenant)

    async def _find(self, tenant: str) -> IntakeRules:
        return IntakeRules(await self.read(tenant))
