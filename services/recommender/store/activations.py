"""Follow which generations are active: from caches-v1, from Postgres, and from Redis if neither helps."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import orjson
import structlog

from services.recommender.domain.activations import Activation, ActiveGenerations, Overlay
from services.recommender.store import SQL
from services.recommender.store.keys import activation_key
from services.recommender.store.periodic import repeat
from shared.errors import EndcapError
from shared.events import CacheRefreshed

if TYPE_CHECKING:
    from services.recommender.store.popularity_lists import PopularityLists
    from shared.postgres import Database
    from shared.redis import Multiplexer

REDIS_LOOKUP_SECONDS = 1.0
"""A tenant without an activation is looked up in Redis at most this often."""
MAX_REMEMBERED_LOOKUPS = 10_000
READ_TIMEOUT_SECONDS = 5.0

log = structlog.get_logger()


class ActivationFeed:
    """A part that keeps `ActiveGenerations` up to date.

    When a generation becomes active, its popularity lists are fetched, so that they are in memory when Redis
    and Postgres are unavailable.
    """

    name = "pointers"

    def __init__(
        self,
        active: ActiveGenerations,
        redis: Multiplexer,
        database: Database,
        popularity: PopularityLists,
        poll_seconds: float,
    ) -> None:
        """Read Postgres every `poll_seconds`."""
        self._active = active
        self._redis = redis
        self._database = database
        self._popularity = popularity
        self._poll_seconds = poll_seconds
        self._looked_up_at: dict[str, float] = {}
        self._activated = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []

    async def start(self) -> None:
        """Start to read Postgres, and to fetch popularity lists."""
        self._tasks = [
            asyncio.create_task(repeat(self._read_postgres, self._poll_seconds), name="pointers"),
            asyncio.create_task(repeat(self._fetch_popularity, 0.0), name="popular"),
        ]

    async def stop(self) -> None:
        """Stop reading."""
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=5)

    def alive(self) -> str | None:
        """Return None: every read has a time limit."""
        return None

    def ready(self) -> str | None:
        """Return None: before the first activation the answer is what is popular, or empty."""
        return None

    def apply(self, tenant: str, event: CacheRefreshed | None) -> None:
        """Apply a record of caches-v1."""
        if event is not None:
            at = event.occurred_at.timestamp()
            overlays = {
                recipe: Overlay(overlay.generation, overlay.as_of.timestamp())
                for recipe, overlay in event.overlays.items()
            }
            self._activate(tenant, Activation(event.activation, event.generations, at, overlays))

    async def look_up(self, tenant: str) -> None:
        """Read the activation of a tenant from Redis, at most once a second."""
        now = asyncio.get_running_loop().time()
        if now - self._looked_up_at.get(tenant, float("-inf")) < REDIS_LOOKUP_SECONDS:
            return
        if len(self._looked_up_at) > MAX_REMEMBERED_LOOKUPS:
            self._looked_up_at.clear()
        self._looked_up_at[tenant] = now
        try:
            (value,) = await self._redis.execute(("GET", activation_key(tenant)))
            if value is not None:
                content = orjson.loads(value)
                overlays = _overlays(content.get("overlays", {}))
                activation = Activation(content["activation"], content["generations"], overlays=overlays)
                self._activate(tenant, activation)
        except (EndcapError, ValueError, KeyError) as error:
            log.debug("activations.redis_unavailable", error=repr(error))

    def _activate(self, tenant: str, activation: Activation) -> None:
        if self._active.activate(tenant, activation):
            log.info("activations.changed", tenant=tenant, activation=activation.number)
            self._activated.set()

    async def _read_postgres(self) -> None:
        async with asyncio.timeout(READ_TIMEOUT_SECONDS):
            for row in await self._database.fetch(*SQL.active()):
                activation = Activation(
                    row["activation"], row["generations"], row["activated_at"], _overlays(row["overlays"])
                )
                self._activate(row["tenant"], activation)

    async def _fetch_popularity(self) -> None:
        await self._activated.wait()
        self._activated.clear()
        for tenant in self._active.tenants:
            await self._popularity.nearest(tenant, None)


def _overlays(content: Mapping[str, Mapping[str, Any]]) -> dict[str, Overlay]:
    """Return the overlays by recipe, each from {"generation": number, "as_of": seconds}."""
    return {recipe: Overlay(each["generation"], each["as_of"]) for recipe, each in content.items()}
