"""Servings of this process: collected in memory, and published every 100 ms off the path of answers.

One record has the servings of one tenant in that time: they go to the partition of the first one's subject,
because a record costs far more CPU time than a serving in one. While Kafka is unavailable, records wait up
to a limit of bytes and of time; then the oldest are dropped and counted.

See docs/decisions/0038-servings.
"""

from __future__ import annotations

import asyncio
import time
import uuid
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import orjson
import structlog

from services.recommender.metrics import SERVINGS, SERVINGS_LOST, SERVINGS_WAITING
from shared.errors import Permanent, Transient
from shared.events.servings import RecommendationServed
from shared.events.topics import SERVINGS as TOPIC
from shared.kafka.records import Record, headers_of, partition_of
from shared.observability import tracing

if TYPE_CHECKING:
    from services.recommender.store.crash_safe_counters import CrashSafeCounters
    from shared.kafka import Publisher

COLLECT_SECONDS: Final = 0.1
"""Half of what may be lost with a killed process (200 ms); the rest is for the publication."""
RECORD_BYTES: Final = 200_000
"""Servings of a tenant beyond these bytes go into another record; arbitrary, a fifth of what Kafka takes."""
BATCH_RECORDS: Final = 100
RETRY_SECONDS: Final = 0.5
STOP_SECONDS: Final = 4.0
MAX_WAIT_SECONDS: Final = 600.0
"""Records that Kafka does not take for so long are dropped: readers look for a serving in the records of so
many seconds after it. Arbitrary."""

_PUBLISHED, _DROPPED = (SERVINGS.labels(outcome) for outcome in ("published", "dropped"))

Encode = Callable[..., bytes]
"""Returns the JSON of a `Serving` from facts of an answer."""

log = structlog.get_logger()


class _Group(NamedTuple):
    """The answers of a tenant since the last collection: key and partition of their record, and the JSON."""

    key: bytes
    partition: int
    servings: list[bytes]


class _Waiting(NamedTuple):
    record: Record
    answers: int
    since: float


class Servings:
    """Collects and publishes what answers contained. A part that stops before the publisher does."""

    name = "servings"

    def __init__(self, publisher: Publisher, counters: CrashSafeCounters, max_waiting_bytes: int) -> None:
        """Keep at most `max_waiting_bytes` of records while Kafka is unavailable."""
        self.process = uuid.uuid4().hex[:12]
        """Names this process in its records."""
        self._publisher = publisher
        self._counters = counters
        self._max_waiting_bytes = max_waiting_bytes
        self._sequence = 0
        self._groups: dict[str, _Group] = {}
        self._timer: asyncio.TimerHandle | None = None
        self._waiting: deque[_Waiting] = deque()
        self._waiting_bytes = 0
        self._collected = asyncio.Event()
        self._stopping = False
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Count what earlier processes lost, and start to publish."""
        lost = self._counters.open()
        if lost:
            SERVINGS_LOST.inc(lost)
            log.warning("servings.lost", count=lost, reason="a process was killed before it published them")
        self._task = asyncio.create_task(self._publish_all(), name=self.name)

    async def stop(self) -> None:
        """Publish waiting servings within a few seconds; count the others as dropped."""
        self._stopping = True
        self._collect()
        self._collected.set()
        if self._task is not None:
            done, _ = await asyncio.wait({self._task}, timeout=STOP_SECONDS)
            if not done:
                self._task.cancel()
                await asyncio.wait({self._task}, timeout=1)
        while self._waiting:
            self._drop(self._take(1)[0].answers, "the process stopped")
        self._counters.close()

    def alive(self) -> str | None:
        """Return why servings are no longer published; None while they are."""
        if self._task is not None and self._task.done() and not self._stopping:
            return "publishing servings stopped because of a defect; see the log"
        return None

    def ready(self) -> str | None:
        """Return None: answers do not wait for servings."""
        return None

    def partition(self, tenant: str, subject: str) -> int:
        """Return the partition of the next answer to `add`, which is for a subject of a tenant."""
        group = self._groups.get(tenant)
        if group is None:
            key = key_of(tenant, subject)
            group = self._groups[tenant] = _Group(key, partition_of(key, TOPIC.partitions), [])
            if self._timer is None:
                self._timer = asyncio.get_running_loop().call_later(COLLECT_SECONDS, self._collect)
        return group.partition

    def add(self, tenant: str, encode: Encode, facts: tuple[Any, ...]) -> None:
        """Add an answer of now, whose JSON is `encode(*facts)`; an answer that has none is dropped.

        It is encoded at once: facts that live until the next collection slow down all requests in between,
        because new objects then get memory that is in no cache of the processor. Its id names the partition
        that `partition` has just returned.
        """
        self._counters.cells[0] += 1
        try:
            self._groups[tenant].servings.append(encode(*facts))
        except Exception:
            log.exception("servings.invalid", tenant=tenant)
            self._drop(1, "it could not be encoded")

    def _collect(self) -> None:
        """Make records of the answers since the last call."""
        self._timer = None
        groups, self._groups = self._groups, {}
        now = time.monotonic()
        for tenant, group in groups.items():
            for part in _parts(group.servings):
                self._wait_with(_Waiting(self._record(tenant, group.key, part), len(part), now))
        self._limit_waiting()
        SERVINGS_WAITING.set(self._waiting_bytes)
        self._collected.set()

    def _record(self, tenant: str, key: bytes, servings: Sequence[bytes]) -> Record:
        self._sequence += 1
        event_id, now = f"{self.process}-{self._sequence}", datetime.now(UTC)
        envelope = orjson.dumps(
            {
                "event_id": event_id,
                "tenant": tenant,
                "occurred_at": now,
                "process": self.process,
                "sequence": self._sequence,
            }
        )
        return Record(
            key,
            b'%b,"servings":[%b]}' % (envelope[:-1], b",".join(servings)),
            headers_of(RecommendationServed, "recommender", event_id, now, tenant, tracing.traceparent()),
        )

    async def _publish_all(self) -> None:
        while not (self._stopping and not self._waiting):
            await self._collected.wait()
            if not self._stopping:
                self._collected.clear()
            while self._waiting:
                await self._publish(self._take(BATCH_RECORDS))
                SERVINGS_WAITING.set(self._waiting_bytes)

    async def _publish(self, batch: list[_Waiting]) -> None:
        try:
            await self._publisher.publish_raw(TOPIC.name, [waiting.record for waiting in batch])
        except Transient as error:
            # They may have been written; readers take the first serving of an id.
            log.warning("servings.not_published", error=str(error), records=len(batch))
            self._give_back(batch)
            await asyncio.sleep(RETRY_SECONDS)
        except asyncio.CancelledError:
            self._give_back(batch)
            raise
        except Permanent as error:
            if len(batch) == 1:
                self._drop(batch[0].answers, str(error))
                return
            for waiting in batch:
                await self._publish([waiting])
        else:
            count = sum(waiting.answers for waiting in batch)
            self._counters.cells[1] += count
            _PUBLISHED.inc(count)

    def _wait_with(self, waiting: _Waiting) -> None:
        self._waiting_bytes += len(waiting.record.value or b"")
        self._waiting.append(waiting)

    def _give_back(self, batch: Sequence[_Waiting]) -> None:
        self._waiting_bytes += sum(len(waiting.record.value or b"") for waiting in batch)
        self._waiting.extendleft(reversed(batch))
        self._limit_waiting()

    def _take(self, count: int) -> list[_Waiting]:
        batch = [self._waiting.popleft() for _ in range(min(count, len(self._waiting)))]
        self._waiting_bytes -= sum(len(waiting.record.value or b"") for waiting in batch)
        return batch

    def _limit_waiting(self) -> None:
        """Drop the oldest records that are too many or too old."""
        oldest = time.monotonic() - MAX_WAIT_SECONDS
        dropped = 0
        while self._waiting and (
            self._waiting_bytes > self._max_waiting_bytes or self._waiting[0].since < oldest
        ):
            dropped += self._take(1)[0].answers
        if dropped:
            self._drop(dropped, "Kafka did not take them in time")

    def _drop(self, count: int, reason: str) -> None:
        self._counters.cells[1] += count
        _DROPPED.inc(count)
        log.warning("servings.dropped", count=count, reason=reason)


def key_of(tenant: str, subject: str) -> bytes:
    """Return the key of a subject's records: a user or session, or "" for nobody."""
    return f"{tenant}:{subject}".encode()


def _parts(servings: Sequence[bytes]) -> Iterator[list[bytes]]:
    """Yield the servings in lists of at most `RECORD_BYTES`, at least one each."""
    part: list[bytes] = []
    size = 0
    for serving in servings:
        if part and size + len(serving) > RECORD_BYTES:
            yield part
            part, size = [], 0
        part.append(serving)
        size += len(serving)
    if part:
        yield part
