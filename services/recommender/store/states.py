"""What every process of the recommender keeps in memory: pointers and catalogues, from topics and views."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import TYPE_CHECKING

import asyncpg
import orjson
import structlog

from services.recommender.domain.catalogue import Catalogue
from services.recommender.domain.facts import plain
from services.recommender.domain.pointers import Pointer, Pointers
from services.recommender.metrics import ITEM_BYTES, ITEMS, LONG_FACT_BYTES
from services.recommender.store.keys import pointer_key
from services.recommender.store.lists import SQL
from shared.errors import EndcapError
from shared.events import CacheRefreshed, ItemChanged
from shared.postgres import UNAVAILABLE

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from services.recommender.domain.catalogue import LongFacts
    from services.recommender.store.popular import Popular
    from shared.kafka import StateTable
    from shared.postgres import Database
    from shared.redis import Multiplexer

_FIELDS = ("name", "category", "price", "currency", "created_at")

ASK_SECONDS = 1.0
FIRST_LOOK_SECONDS = 2.0

log = structlog.get_logger()


class Pointing:
    """Keeps the pointers: from caches-v1, from Postgres every half minute, from Redis when neither helps.

    A part. When a pointer moves, what is popular in its generation is fetched, so that it is in memory
    when nothing else is there.
    """

    name = "pointers"

    def __init__(
        self, pointers: Pointers, redis: Multiplexer, database: Database, popular: Popular, seconds: float
    ) -> None:
        """Ask Postgres every `seconds`."""
        self._pointers = pointers
        self._redis = redis
        self._database = database
        self._popular = popular
        self._seconds = seconds
        self._asked_at: dict[str, float] = {}
        self._moved = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []

    async def start(self) -> None:
        """Begin to look."""
        self._tasks = [
            asyncio.create_task(_for_ever(self._look, self._seconds), name="pointers"),
            asyncio.create_task(_for_ever(self._warm, 0.0), name="popular"),
        ]

    async def stop(self) -> None:
        """Stop looking."""
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=5)

    def alive(self) -> str | None:
        """Never stuck: each look has its time."""
        return None

    def ready(self) -> str | None:
        """Ready from the start: without a pointer the answer is what is popular, or nothing."""
        return None

    def changed(self, tenant: str, event: CacheRefreshed | None) -> None:
        """Take an event of caches-v1."""
        if event is not None:
            self._take(tenant, Pointer(event.activation, event.generations))

    async def ask(self, tenant: str) -> None:
        """Look into Redis for the pointer of a tenant that nobody told us of; once in a second."""
        now = asyncio.get_running_loop().time()
        if now - self._asked_at.get(tenant, float("-inf")) < ASK_SECONDS:
            return
        if len(self._asked_at) > 10_000:
            self._asked_at.clear()
        self._asked_at[tenant] = now
        try:
            (value,) = await self._redis.execute(("GET", pointer_key(tenant)))
            if value is not None:
                told = orjson.loads(value)
                self._take(tenant, Pointer(told["activation"], told["generations"]))
        except (EndcapError, ValueError, KeyError) as error:
            log.debug("pointers.redis_passed_over", error=repr(error))

    def _take(self, tenant: str, pointer: Pointer) -> None:
        if self._pointers.move(tenant, pointer):
            log.info("pointers.moved", tenant=tenant, activation=pointer.activation)
            self._moved.set()

    async def _look(self) -> None:
        async with asyncio.timeout(5):
            for row in await self._database.fetch(*SQL.active()):
                self._take(row["tenant"], Pointer(row["activation"], row["generations"]))

    async def _warm(self) -> None:
        await self._moved.wait()
        self._moved.clear()
        for tenant in self._pointers.tenants:
            await self._popular.near(tenant, None)


class Catalogues:
    """The items of every tenant: from items-v1, and from sync's view until that is read. A part."""

    name = "catalogues"

    def __init__(self, database: Database, long_facts: LongFacts | None = None) -> None:
        """Keep facts that are too long for memory in `long_facts`."""
        self._database = database
        self._long_facts = long_facts
        self._of: dict[str, Catalogue] = {}
        self._topic: StateTable[ItemChanged] | None = None
        self._task: asyncio.Task[None] | None = None

    def of(self, tenant: str) -> Catalogue:
        """The catalogue of a tenant; empty for one that never described an item."""
        found = self._of.get(tenant)
        if found is None:
            found = self._of[tenant] = Catalogue(self._long_facts)
        return found

    def follow(self, topic: StateTable[ItemChanged]) -> None:
        """Read the view for as long as `topic` has not been read."""
        self._topic = topic

    def changed(self, key: str, item: ItemChanged | None) -> None:
        """Take an event of items-v1."""
        tenant, _, item_id = key.partition(":")
        if item is None:
            self.of(tenant).remove(item_id)
        else:
            self.of(tenant).put(
                item_id,
                item.name,
                item.price,
                available=item.available,
                as_of=item.occurred_at,
                facts=plain({name: getattr(item, name) for name in _FIELDS}, item.attributes),
            )

    def whole(self, keys: set[str]) -> None:
        """Withhold what the view has told and items-v1 has no more: its tombstone may be compacted away."""
        for tenant, catalogue in self._of.items():
            catalogue.keep_only(partial(_holds, keys, f"{tenant}:"))

    async def start(self) -> None:
        """Give Kafka a moment; then read the view."""
        ITEMS.set_function(lambda: sum(map(len, self._of.values())))
        ITEM_BYTES.set_function(lambda: sum(catalogue.memory_bytes for catalogue in self._of.values()))
        LONG_FACT_BYTES.set_function(lambda: self._long_facts.held_bytes if self._long_facts else 0)
        self._task = asyncio.create_task(self._until_read(), name="catalogues")

    async def stop(self) -> None:
        """Stop reading."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait({self._task}, timeout=5)

    def alive(self) -> str | None:
        """Never stuck."""
        return None

    def ready(self) -> str | None:
        """Ready from the start: an item that is not known yet is shown by its id."""
        return None

    async def _until_read(self) -> None:
        await asyncio.sleep(FIRST_LOOK_SECONDS)
        while self._topic is not None and not self._topic.caught_up:
            await _survive(self._read_view)
            await asyncio.sleep(10)

    async def _read_view(self) -> None:
        items: dict[str, set[str]] = {}
        rows = await self._database.fetch(*SQL.items())
        if self._topic is not None and self._topic.caught_up:
            return  # what was read may be older by now
        for row in rows:
            items.setdefault(row["tenant"], set()).add(row["item_id"])
            self.of(row["tenant"]).put(
                row["item_id"],
                row["name"],
                row["price"],
                available=row["available"],
                as_of=row["updated_at"],
                facts=plain({name: row[name] for name in _FIELDS}, row["attributes"] or {}),
            )
        for tenant, known in items.items():
            self.of(tenant).keep_only(known.__contains__)


def _holds(keys: set[str], prefix: str, item_id: str) -> bool:
    return prefix + item_id in keys


async def _for_ever(work: Callable[[], Awaitable[None]], pause: float) -> None:
    while True:
        await _survive(work)
        await asyncio.sleep(pause)


async def _survive(work: Callable[[], Awaitable[None]]) -> None:
    try:
        await work()
    except (*UNAVAILABLE, asyncpg.PostgresError) as error:
        log.warning("states.postgres_away", error=repr(error))
        await asyncio.sleep(1)
    except Exception:
        log.exception("states.look_failed")
        await asyncio.sleep(1)
