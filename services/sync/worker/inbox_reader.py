"""Merge the deliveries of the inbox, tenant by tenant, in the order of their arrival.

A transaction is the lease of a tenant's inbox: it merges some deliveries and settles them. When a worker
dies, its transaction ends, and another worker continues with the same deliveries. A delivery that can't be
merged is rolled back alone and set to `failed` with its reason; those behind it go on.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import structlog

from services.sync.domain.pulls import answers
from services.sync.domain.records import Ignored
from services.sync.domain.sources import Webhook, parse_config
from services.sync.domain.webhooks import deliveries
from services.sync.metrics import DELIVERIES
from services.sync.store.inbox import Outcome
from services.sync.worker.record_merge import Origin
from shared.errors import Permanent, Transient
from shared.postgres import UNAVAILABLE

if TYPE_CHECKING:
    from services.sync.domain.records import Record
    from services.sync.store import Inbox
    from services.sync.store.inbox import Received
    from services.sync.worker.record_merge import RecordMerge
    from shared.postgres import Connection, Database, Notice

BATCH = 50
"""Deliveries of one transaction; arbitrary."""

POLL_SECONDS = 2.0
UNNOTIFIED_POLL_SECONDS = 0.5
"""Interval of polling while notices can't arrive."""

MAX_PAUSE_SECONDS = 10.0

log = structlog.get_logger()


class InboxReader:
    """Reads the inbox until the process stops; several workers may read at once."""

    name = "inbox"

    def __init__(self, database: Database, inbox: Inbox, merge: RecordMerge) -> None:
        self._database = database
        self._inbox = inbox
        self._merge = merge
        self._notice: Notice | None = None
        self._task: asyncio.Task[None] | None = None
        self._stopping = False

    async def start(self) -> None:
        """Start reading; Postgres may be unavailable."""
        self._notice = self._database.notices("inbox")
        self._task = asyncio.create_task(self._run(self._notice), name=self.name)

    async def stop(self) -> None:
        """Cancel the present transaction, which rolls back."""
        self._stopping = True
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    def alive(self) -> str | None:
        """Return a reason when the loop has ended, which never happens without an error."""
        ended = self._task is not None and self._task.done() and not self._stopping
        return "the inbox is not read any more" if ended else None

    def ready(self) -> str | None:
        """Return None: no request waits for the inbox."""
        return None

    async def _run(self, notice: Notice) -> None:
        pause = POLL_SECONDS
        while True:
            notice.clear()
            try:
                merged = await self.read()
                pause = POLL_SECONDS
            except (Transient, *UNAVAILABLE) as error:
                log.warning("sync.inbox_unavailable", error=repr(error), retry_seconds=pause)
                merged = 0
                pause = min(pause * 2, MAX_PAUSE_SECONDS)
            except Exception:
                log.exception("sync.inbox_failed", retry_seconds=pause)
                merged = 0
                pause = min(pause * 2, MAX_PAUSE_SECONDS)
            if not merged:
                await notice.wait(pause if notice.heard else UNNOTIFIED_POLL_SECONDS)

    async def read(self) -> int:
        """Merge the waiting deliveries of every tenant, at most `BATCH` of each; return how many."""
        count = 0
        for tenant in await self._inbox.waiting_tenants():
            async with self._database.transaction() as connection:
                if await self._inbox.lease(connection, tenant):
                    received = await self._inbox.next(connection, tenant, BATCH)
                    outcomes = [await self._merged(connection, tenant, delivery) for delivery in received]
                    if outcomes:
                        await self._inbox.settle(connection, outcomes)
                    count += len(outcomes)
                    for outcome in outcomes:
                        DELIVERIES.labels(outcome.status).inc()
        return count

    async def _merged(self, connection: Connection, tenant: str, delivery: Received) -> Outcome:
        """Merge one delivery, and return its outcome; a failure undoes it alone."""
        try:
            records = _records(delivery)
            if isinstance(records, Ignored):
                return Outcome(delivery.seq, "ignored", records.reason)
            origin = Origin(tenant, delivery.source_id, delivery.name, delivery.received_at)
            async with connection.transaction():  # a savepoint
                changed = await self._merge.merge(connection, origin, records)
        except (Transient, *UNAVAILABLE):
            raise
        except Permanent as error:
            log.warning("sync.delivery_failed", tenant=tenant, source=delivery.name, error=str(error))
            return Outcome(delivery.seq, "failed", _storable(str(error)))
        except Exception as error:
            log.exception("sync.delivery_failed", tenant=tenant, source=delivery.name)
            return Outcome(delivery.seq, "failed", _storable(f"An unexpected error: {error!r}"))
        return Outcome(delivery.seq, "applied", None if changed else "It changed nothing.")


def _records(delivery: Received) -> list[Record] | Ignored:
    config = parse_config(delivery.config)
    if isinstance(config, Webhook):
        return deliveries.parse(config, delivery.topic, delivery.body, delivery.received_at)
    return answers.parse(config, delivery.topic, delivery.body, delivery.received_at)


def _storable(text: str) -> str:
    return text[:2_000].replace("\0", "\ufffd").encode(errors="replace").decode()
