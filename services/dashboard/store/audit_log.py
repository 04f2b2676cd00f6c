"""The audit log: who changed what, when, and how it ended."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from services.dashboard.store.statements import SQL

if TYPE_CHECKING:
    from services.dashboard.store.sessions import Person
    from shared.postgres import Database

Outcome = Literal["done", "refused", "unknown"]


class AuditLog:
    """Entries in Postgres. An entry is written before its change, so that no change is without one."""

    def __init__(self, database: Database, days: int) -> None:
        self._database = database
        self._days = days

    async def begin(self, person: Person, action: str, target: str, before: Any, after: Any) -> int:
        """Add an entry before its change is made; return its id."""
        entry = SQL.add_entry(
            tenant=person.tenant,
            person=person.name,
            role=person.role,
            action=action,
            target=target,
            before=before,
            after=after,
        )
        return int(await self._database.fetchval(*entry))

    async def complete(
        self, person: Person, entry: int, outcome: Outcome, detail: str = "", after: Any = None
    ) -> None:
        """Store the outcome of a change, and its result in place of what was asked for."""
        await self._database.execute(
            *SQL.complete_entry(
                tenant=person.tenant, id=entry, outcome=outcome, detail=detail[:2000], after=after
            )
        )

    async def entries(self, tenant: str, limit: int, before_id: int | None = None) -> list[dict[str, Any]]:
        """Return up to `limit` entries of a tenant, newest first; older than `before_id` if that is set."""
        rows = await self._database.fetch(*SQL.entries(tenant=tenant, before_id=before_id, limit=limit))
        return [dict(row) for row in rows]

    async def delete_old(self) -> None:
        """Delete entries that are older than the retention."""
        await self._database.execute(*SQL.delete_old_entries(days=self._days))
