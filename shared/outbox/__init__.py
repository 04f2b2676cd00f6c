"""The transactional outbox: no event without its row, no row without its event.

A service appends events in the transaction that changes its rows; a relay publishes them in that order and
forgets them once Kafka has acknowledged. A relay that dies in between publishes them again under the same
ids. The table is in `table.sql`.

Order per key holds where the transactions that append for one key follow each other: lock the row that the
event is about first, append last.
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
"""How often a relay looks for rows that no notice told it of; 0.04 % of a core."""

DEAF_POLL_SECONDS = 0.05
"""The same while no notice can come."""

STANDBY_SECONDS = 0.5
"""How often a relay looks whether another one, which is at work, has died."""

PUBLISH_SECONDS = 10.0
FIRST_PAUSE_SECONDS = 0.1
MAX_PAUSE_SECONDS = 5.0
MEASURE_SECONDS = 5.0
STOP_SECONDS = 5.0
MAX_EVENT_BYTES = 900_000

PENDING = gauge("endcap_outbox_pending", "Rows that are not published yet.", ["schema"])
SET_ASIDE = gauge("endcap_outbox_set_aside", "Rows that Kafka refused; people have to look.", ["schema"])
OLDEST = gauge("endcap_outbox_oldest_age_seconds", "Age of the oldest such row.", ["schema"])

log = structlog.get_logger()


async def append(connection: Connection, topic: Topic, events: Sequence[Event]) -> None:
    """Add events for `topic` in the transaction of `connection`, after its other changes.

    Raises Permanent for an event that is too large for Kafka, and adds nothing then.
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
    headers = [_text(record) for record in records]
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
    """Say that the state of `key` (`tenant:id`, as the event's own key would be) is gone."""
    if not topic.compacted:
        message = f"{topic.name} holds facts, not states to delete"
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
    """Publishes what the services' transactions appended. A part: it lives as long as its process.

    Of several relays of one schema one works at a time; another takes over when it dies.
    """

    name = "outbox-relay"

    def __init__(self, database: Database, publisher: Publisher, *, batch: int = BATCH) -> None:
        """Take from `database`, publish through `publisher`, `batch` rows at a time."""
        self._database = database
        self._publisher = publisher
        self._batch = batch
        self._size = batch
        self._stopping = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []
        self._notice: Notice | None = None
        self._stuck: str | None = None

    async def start(self) -> None:
        """Begin; Postgres and Kafka may come later."""
        self._notice = self._database.notices("outbox")
        self._tasks = [asyncio.create_task(self._relay(self._notice)), asyncio.create_task(self._measure())]

    async def stop(self) -> None:
        """Finish the batch at hand, within a few seconds."""
        self._stopping.set()
        if self._notice is not None:
            self._notice.give()
        if self._tasks:
            _, late = await asyncio.wait(self._tasks, timeout=STOP_SECONDS)
            for task in late:
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)

    def alive(self) -> str | None:
        """Dead when a loop ended, which none does by itself."""
        ended = any(task.done() for task in self._tasks) and not self._stopping.is_set()
        return "the outbox's loop has ended" if ended else None

    def ready(self) -> str | None:
        """Return what keeps the next row from being published, if only people can mend it."""
        return self._stuck

    async def _relay(self, notice: Notice) -> None:
        pause = FIRST_PAUSE_SECONDS
        while not self._stopping.is_set():
            notice.clear()
            try:
                published = await self._publish_next()
            except (Transient, *UNAVAILABLE) as error:
                log.warning("outbox.waits", error=repr(error), again_in=pause)
            except Exception as error:  # rows stay; the relay must not die over them
                self._stuck = f"the outbox's next row can't be published: {error!r}"
                log.exception("outbox.stuck")
            else:
                pause = FIRST_PAUSE_SECONDS
                self._stuck = None
                if published is None:
                    await self._wait(STANDBY_SECONDS)
                elif not published and not self._stopping.is_set():
                    await notice.wait(POLL_SECONDS if notice.heard else DEAF_POLL_SECONDS)
                continue
            await self._wait(pause)
            pause = min(pause * 2, MAX_PAUSE_SECONDS)

    async def _publish_next(self) -> int | None:
        """Publish the oldest rows and delete them; return how many there were, None if another relay works.

        When Kafka refuses a record for what it is, the next rounds take half as many rows each, down to the
        one that is to blame: it is set aside with the reason, and those behind it go on.
        """
        if not await self._database.fetchval(*SQL.waiting()):
            return 0
        async with self._database.transaction() as connection:
            if not await connection.fetchval(*SQL.lock()):
                return None
            rows = await connection.fetch(*SQL.next(count=self._size))
            try:
                # Topic by topic: order matters per key, and a key belongs to one topic.
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


def _text(record: Record) -> dict[str, str]:
    return {name: (content or b"").decode() for name, content in record.headers}
