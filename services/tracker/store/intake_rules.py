"""The tenants' rules of intake, cached for a minute."""

from __future__ import annotations

from typing import TYPE_CHECKING

from services.tracker.domain.intake_rules import DEFAULT_RULES, IntakeRules, Rules
from services.tracker.store.tenants import SQL
from shared.errors import ApiError
from shared.lookup_cache import LookupCache

if TYPE_CHECKING:
    from shared.postgres import Database


class IntakeRulesTable:
    """Rules by tenant. A change holds within a minute in every process, at once in this one."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._cache = LookupCache(self._find)

    async def of(self, tenant: str) -> IntakeRules:
        """Return the rules of a tenant; the default while they were never read and Postgres is away."""
        rules = self._cache.fresh(tenant)
        if rules is not None:
            return rules
        try:
            return await self._cache.get(tenant) or DEFAULT_RULES
        except ApiError:
            return DEFAULT_RULES

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
