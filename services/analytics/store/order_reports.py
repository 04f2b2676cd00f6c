"""Reports of orders: the order lines that they are computed of, and the stored reports."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from services.analytics.domain.order_lines import Item, LinesBuilder, OrderLines
from services.analytics.domain.report_set import Reports as Computed
from services.analytics.domain.report_set import without_customers
from services.analytics.store.sql import SQL
from shared.jobs import enqueue

if TYPE_CHECKING:
    from shared.postgres import Database

JOB: Final = "reports"
MAX_ASKED: Final = 200
"""Selections beside the usual ones that are computed again each night; arbitrary."""

_CHUNK: Final = 10_000
_KEPT: Final = timedelta(days=30)
"""Selections that nobody asked for in this time are forgotten; arbitrary."""

Erased = Mapping[str, datetime]


@dataclass(frozen=True, slots=True)
class StoredReport:
    """A stored report; `computed_at` is when its orders were read."""

    computed_at: datetime
    rows: Sequence[dict[str, Any]]
    total: int
    summary: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The order lines of a tenant as they were at a time, without the customers erased by then."""

    lines: OrderLines
    read_at: datetime
    erased: Erased


class OrderReports:
    """Stores and reads reports."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def read(self, tenant: str, selection: str, name: str) -> StoredReport | None:
        """Return a report of a selection; None if the selection is not computed yet.

        Reading notes once a day that the selection is asked for.
        """
        row = await self._database.fetchrow(*SQL.stored_report(tenant=tenant, selection=selection, name=name))
        if row is None:
            return None
        if row["is_long_unasked"]:
            await self._database.fetchrow(*SQL.ask_for_selection(tenant=tenant, selection=selection))
        return StoredReport(row["computed_at"], row["rows"], row["total"], row["summary"])

    async def ask(self, tenant: str, selection: str) -> None:
        """Let the worker compute a selection, unless it was asked to do so in the last minute."""
        async with self._database.transaction() as connection:
            row = await connection.fetchrow(*SQL.ask_for_selection(tenant=tenant, selection=selection))
            if row is not None and row["is_new"]:
                key = f"asked:{tenant}:{uuid.uuid4()}"
                await enqueue(connection, JOB, key, {"selection": selection}, tenant=tenant)

    async def ask_for_all(self, tenant: str, cause: str) -> bool:
        """Let the worker compute all usual selections and those asked for; return False for a known cause."""
        return await enqueue(self._database, JOB, f"{cause}:{tenant}", {}, tenant=tenant) is not None

    async def tenants(self) -> list[str]:
        """Return the tenants that have items."""
        return [row["tenant"] for row in await self._database.fetch(*SQL.tenants_with_items())]

    async def asked_selections(self, tenant: str) -> list[str]:
        """Return the selections that people have asked for beside the usual ones."""
        rows = await self._database.fetch(*SQL.asked_selections(tenant=tenant, rows=MAX_ASKED))
        return [row["selection"] for row in rows]

    async def snapshot(self, tenant: str) -> Snapshot:
        """Return the order lines of a tenant."""
        builder = LinesBuilder()
        async with self._database.transaction("repeatable_read", readonly=True) as connection:
            erased = {
                row["subject"]: row["erased_at"]
                for row in await connection.fetch(*SQL.erased_subjects_of_tenant(tenant=tenant))
            }
            read_at: datetime = await connection.fetchval(*SQL.database_time())
            async for row in connection.cursor(*SQL.report_items(tenant=tenant), prefetch=_CHUNK):
                item = Item(row["name"], row["category"], row["price"], row["brand"])
                builder.describe_item(row["item_id"], item)
            cursor = await connection.cursor(*SQL.report_lines(tenant=tenant))
            while rows := await cursor.fetch(_CHUNK):
                await asyncio.to_thread(builder.add, rows, erased)
        return Snapshot(await asyncio.to_thread(builder.build), read_at, erased)

    async def store(
        self, tenant: str, selection: str, reports: Computed, snapshot: Snapshot, *, is_usual: bool
    ) -> None:
        """Replace the reports of a selection, without customers who were erased since the snapshot."""
        async with self._database.transaction() as connection:
            await connection.execute(*SQL.lock_tenants(tenants=[tenant]))
            rows = await connection.fetch(*SQL.erased_subjects_of_tenant(tenant=tenant))
            erased = {
                row["subject"] for row in rows if row["erased_at"] != snapshot.erased.get(row["subject"])
            }
            kept = without_customers(reports, erased)
            await connection.execute(
                *SQL.put_report_selection(
                    tenant=tenant, selection=selection, is_usual=is_usual, computed_at=snapshot.read_at
                )
            )
            stored = [
                {
                    "name": name,
                    "rows": report.rows,
                    "total": report.total,
                    "summary": report.summary,
                    "customer_field": report.customer_field,
                }
                for name, report in kept.items()
            ]
            await connection.execute(*SQL.add_reports(tenant=tenant, selection=selection, reports=stored))

    async def forget(self, tenant: str, snapshot: Snapshot) -> None:
        """Forget selections that are no longer usual, and those that nobody has asked for in a month."""
        await self._database.execute(
            *SQL.forget_selections(
                tenant=tenant,
                computed_at=snapshot.read_at,
                asked_before=datetime.now(UTC) - _KEPT,
                rows=MAX_ASKED,
            )
        )
