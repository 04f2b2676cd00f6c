"""The inbox: deliveries of sources, from their arrival until they are merged."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from services.sync.metrics import INBOX_OLDEST, INBOX_WAITING
from services.sync.store.statements import SQL

if TYPE_CHECKING:
    from shared.postgres import Connection, Database

Status = Literal["waiting", "applied", "ignored", "failed"]


@dataclass(frozen=True, slots=True)
class Received:
    """A waiting delivery with its source."""

    seq: int
    source_id: str
    topic: str
    body: bytes
    received_at: datetime
    name: str
    kind: str
    config: dict[str, Any]


class Outcome(NamedTuple):
    """The outcome of a delivery, with a sentence if it brought nothing."""

    seq: int
    status: Literal["applied", "ignored", "failed"]
    reason: str | None = None


class Inbox:
    """The deliveries of sources."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def add(self, source_id: str, tenant: str, topic: str, delivery: str, body: bytes) -> bool:
        """Store a delivery; return False if the source has sent it before."""
        row = await self._database.fetchrow(
            *SQL.add_delivery(source_id=source_id, tenant=tenant, topic=topic, delivery=delivery, body=body)
        )
        return row is not None

    async def waiting_tenants(self) -> list[str]:
        """Return the tenants with waiting deliveries, the longest wait first."""
        return [row["tenant"] for row in await self._database.fetch(*SQL.waiting_tenants())]

    async def lease(self, connection: Connection, tenant: str) -> bool:
        """Take a tenant's inbox until the transaction ends; return False while another worker has it."""
        return bool(await connection.fetchval(*SQL.lease_inbox(tenant=tenant)))

    async def next(self, connection: Connection, tenant: str, limit: int) -> list[Received]:
        """Return the oldest waiting deliveries of a tenant."""
        rows = await connection.fetch(*SQL.next_deliveries(tenant=tenant, limit=limit))
        return [Received(**row) for row in rows]

    async def settle(self, connection: Connection, outcomes: Sequence[Outcome]) -> None:
        """Store the outcomes of deliveries."""
        seqs, statuses, reasons = zip(*outcomes, strict=True)
        await connection.execute(*SQL.settle_deliveries(seqs=seqs, statuses=statuses, reasons=reasons))

    async def deliveries(
        self, source_id: str, *, status: Status | None, before: int | None, limit: int
    ) -> list[dict[str, Any]]:
        """Return the newest deliveries of a source before `before`, without bodies."""
        rows = await self._database.fetch(
            *SQL.deliveries(source_id=source_id, status=status, before=before, limit=limit)
        )
        return [dict(row) for row in rows]

    async def delivery(self, source_id: str, seq: int) -> dict[str, Any] | None:
        """Return a delivery with its body, or None."""
        row = await self._database.fetchrow(*SQL.delivery(source_id=source_id, seq=seq))
        return None if row is None else dict(row)

    async def replay(self, source_id: str, seq: int, body: bytes | None) -> bool:
        """Let a failed or ignored delivery wait again, with another body if there is one; return whether."""
        row = await self._database.fetchrow(*SQL.replay_delivery(source_id=source_id, seq=seq, body=body))
        return row is not None

    async def clean(self, days: float, failed_days: float) -> int:
        """Delete the deliveries that were settled, or failed, more than so many days ago; return how many."""
        deleted = 0
        while count := await self._database.fetchval(
            *SQL.delete_old_deliveries(days=days, failed_days=failed_days)
        ):
            deleted += count
        return deleted

    async def measure(self) -> None:
        """Set the gauges of waiting deliveries."""
        row = await self._database.fetchrow(*SQL.inbox_backlog())
        if row is not None:
            INBOX_WAITING.set(row["waiting"])
            INBOX_OLDEST.set(row["age"])
