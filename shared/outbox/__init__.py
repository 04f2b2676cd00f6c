"""The transactional outbox (Richardson, "Microservices Patterns"): events and rows commit together.

A service appends events in the transaction that changes its rows. A relay publishes them in that order and
deletes them when Kafka has acknowledged them; a relay that dies in between publishes them again under the
same ids.

The order of the events of one key is kept if the transactions that append for it follow each other: lock
the row that the event is about first, append last.

The tables are created by `migrations/`, which a service includes with one line in a migration of its own:
see `shared.postgres.migrations`.

See docs/decisions/0008-outbox.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Mapping, Sequence
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any

import orjson
import structlog

from shared.errors import Permanent, Transient
from shared.kafka import Record, encoded
from shared.observability import gauge, tracing
from shared.postgres import UNAVAILABLE, Database, statements

if TYPE_CHECKING:
    from shared.events import Event
    from shared.events.topics import Topic
    from shared.kafka import Publisher
    from shared.postgres import Connection, Notice

SQL = statements(Path(__file__).with_name("queries.sql"))
TOMBSTONE = "tombstone"
BATCH = 1_000
POLL_SECONDS = 2.0
"""Interval of polling for rows that were not announced by a notice; it takes 0.04 % of a core."""

UNNOTIFIED_POLL_SECONDS = 0.05
"""The same while notices can't arrive."""

STANDBY_SECONDS = 0.5
"""Interval in which a relay checks whether the active one has died."""

PUBLISH_SECONDS = 10.0
FIRST_PAUSE_SECONDS = 0.1
MAX_PAUSE_SECONDS = 5.0
MEASURE_SECONDS = 5.0
STOP_SECONDS = 5.0
MAX_EVENT_BYTES = 900_000

PENDING = gauge("endcap_outbox_pending", "Rows that are not published yet.", ["schema"])
SET_ASIDE = gauge(
    "endcap_outbox_set_aside", "Rows that Kafka has rejected; an operator has to look at them.", ["schema"]
)
OLDEST = gauge(
    "endcap_outbox_oldest_age_seconds", "Age of the oldest row that is not published yet.", ["schema"]
)

log = structlog.get_logger()


async def append(connection: Connection, topic: Topic, events: Sequence[Event]) -> None:
    """Add events for `topic` in the transaction of `connection`, after its other changes.

    Raises Permanent for an event that is too large for Kafka, and TypeError for an event of another topic; no
    event is added then.
    """
    if not events:
        return
    for event in events:
        if type(event) not in topic.events:
            message = f"{topic.name} takes no {type(event).__name__}"
            raise TypeError(message)
    traceparent = tracing.traceparent()
    records = [encoded(event, "outbox", traceparent) for event in events]
    for event, record in zip(events, records, strict=True):
        if len(record.value or b"") > MAX_EVENT_BYTES:
            message = f"event {event.event_id} of {event.key} has more than {MAX_EVENT_BYTES} bytes"
            raise Permanent(message)
    headers = [_header_texts(record) for record in records]
    await connection.execute(
        *SQL.append(
            topic=topic.name,
            ids=[event.event_id for event in events],
            keys=[event.key for event in events],
            types=[header["ce_type"] for header in headers],
            payloads=[orjson.Fragment(record.value or b"") for record in records],
            tenants=[event.tenant for event in events],
            headers=headers,
        )
    )


async def append_tombstone(connection: Connection, topic: Topic, tenant: str, key: str) -> None:
    """Add a tombstone, which deletes the state of `key` (`tenant:id`); TypeError unless compacted."""
    if not topic.compacted:
        message = f"{topic.name} is not compacted: it takes no tombstones"
        raise TypeError(message)
    await connection.execute(
        *SQL.append(
            topic=topic.name,
            ids=[key],
            keys=[key],
            types=[TOMBSTONE],
            payloads=[None],
            tenants=[tenant],
            headers=[{"traceparent": tracing.traceparent()}],
        )
    )


class Relay:
    """Publishes the events of the outbox of one service; a part of a process.

    Of several relays of one schema one is active at a time; another takes over when it dies.
    """

    name = "outbox-relay"

    def __init__(self, database: Database, publisher: Publisher, *, batch: int = BATCH) -> None:
        """Publish the rows of `database` through `publisher`, at most `batch` rows at a time."""
        self._database = database
        self._publisher = publisher
        self._batch = batch
        self._size = batch
        self._stopping = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []
        self._notice: Notice | None = None
        self._stuck: str | None = None

    async def start(self) -> None:
        """Start the relay; Postgres and Kafka may be unavailable."""
        self._notice = self._database.notices("outbox")
        self._tasks = [asyncio.create_task(self._relay(self._notice)), asyncio.create_task(self._measure())]

    async def stop(self) -> None:
        """Finish the current batch, or cancel it after a few seconds."""
        self._stopping.set()
        if self._notice is not None:
            self._notice.give()
        if self._tasks:
            _, late = await asyncio.wait(self._tasks, timeout=STOP_SECONDS)
            for task in late:
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)

    def alive(self) -> str | None:
        """Return a reason when a loop has ended, which never happens without an error."""
        ended = any(task.done() for task in self._tasks) and not self._stopping.is_set()
        return "the outbox's loop has ended" if ended else None

    def ready(self) -> str | None:
        """Return why the next row can't be published, if only an operator can repair that."""
        return self._stuck

    async def _relay(self, notice: Notice) -> None:
        pause = FIRST_PAUSE_SECONDS
        while not self._stopping.is_set():
            notice.clear()
            try:
                published = await self._publish_next()
            except (Transient, *UNAVAILABLE) as error:
                log.warning("outbox.unavailable", error=repr(error), retry_seconds=pause)
            except Exception as error:  # the rows stay, and the relay goes on
                self._stuck = f"the outbox's next row can't be published: {error!r}"
                log.exception("outbox.stuck")
            else:
                pause = FIRST_PAUSE_SECONDS
                self._stuck = None
                if published is None:
                    await self._wait(STANDBY_SECONDS)
                elif not published and not self._stopping.is_set():
                    await notice.wait(POLL_SECONDS if notice.heard else UNNOTIFIED_POLL_SECONDS)
                continue
            await self._wait(pause)
            pause = min(pause * 2, MAX_PAUSE_SECONDS)

    async def _publish_next(self) -> int | None:
        """Publish and delete the oldest rows; return their number, or None if another relay is active.

        When Kafka rejects a record, batches are halved until the rejected record is alone: it is set aside
        with the reason, and the following rows are published.
        """
        if not await self._database.fetchval(*SQL.waiting()):
            return 0
        async with self._database.transaction() as connection:
            if not await connection.fetchval(*SQL.lock()):
                return None
            rows = await connection.fetch(*SQL.next(count=self._size))
            try:
                # By topic: only the order of a key's events matters, and a key belongs to one topic.
                for topic, group in groupby(sorted(rows, key=_topic), key=_topic):
                    await self._publisher.publish_raw(
                        topic, [_record(row) for row in group], within=PUBLISH_SECONDS
                    )
            except Permanent as refusal:
                if len(rows) == 1:
                    (row,) = rows
                    await connection.execute(*SQL.set_aside(seq=row["seq"], reason=str(refusal)))
                    log.exception("outbox.set_aside", seq=row["seq"], topic=row["topic"])
                self._size = max(1, len(rows) // 2)
                return len(rows)
            await connection.execute(*SQL.done(rows=[row["seq"] for row in rows]))
        self._size = min(self._batch, self._size * 2)
        return len(rows)

    async def _measure(self) -> None:
        while not self._stopping.is_set():
            with contextlib.suppress(*UNAVAILABLE):
                row = await self._database.fetchrow(*SQL.backlog())
                if row is not None:
                    PENDING.labels(self._database.schema).set(row["pending"])
                    OLDEST.labels(self._database.schema).set(row["age"])
                    SET_ASIDE.labels(self._database.schema).set(row["set_aside"])
            await self._wait(MEASURE_SECONDS)

    async def _wait(self, seconds: float) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._stopping.wait()


def _topic(row: Mapping[str, Any]) -> str:
    return str(row["topic"])


def _record(row: Mapping[str, Any]) -> Record:
    payload = row["payload"]
    return Record(
        key=row["key"].encode(),
        value=None if payload is None else payload.encode(),
        headers=tuple((name, text.encode()) for name, text in row["headers"].items()),
    )


def _header_texts(record: Record) -> dict[str, str]:
    return {name: (content or b"").decode() for name, content in record.headers}
