"""Making histories and users anew when Redis has lost them: FLUSHALL, a lost disk, an older snapshot.

A mark says until when Redis is whole. A worker that keeps it up finds it gone, or gone back.
"""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import asyncpg
import structlog

from services.recommender.domain.history_events import HistoryEvent, Login, is_kept
from services.recommender.metrics import REFILLED
from services.recommender.store.keys import HISTORIES_WHOLE
from services.recommender.store.lists import SQL
from services.recommender.store.places import About
from shared.errors import EndcapError
from shared.postgres import UNAVAILABLE

if TYPE_CHECKING:
    from services.recommender.store.histories import Histories, Kept
    from services.recommender.store.places import Places
    from shared.postgres import Database
    from shared.redis import Multiplexer

LOOK_SECONDS = 2.0
TOLERATED_SECONDS = 5
FRESH_SECONDS = 60
MARGIN = timedelta(minutes=10)
BATCH = 2_000

log = structlog.get_logger()


class Refill:
    """Looks whether Redis still has what was written there, and if not reads it from the owners' views.

    A part. Several workers may do it at once; a repetition changes nothing.
    """

    name = "refill"

    def __init__(
        self, redis: Multiplexer, database: Database, histories: Histories, places: Places, kept: Kept
    ) -> None:
        self._redis = redis
        self._database = database
        self._histories = histories
        self._places = places
        self._kept = kept
        self._marked = 0
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Begin to look."""
        self._task = asyncio.create_task(self._watch(), name="refill")

    async def stop(self) -> None:
        """Stop; a refill that is cut off begins again at the next start."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait({self._task}, timeout=5)

    def alive(self) -> str | None:
        """Never stuck for good: each step has its time."""
        return None

    def ready(self) -> str | None:
        """New events are taken while old ones are read."""
        return None

    async def _watch(self) -> None:
        while True:
            try:
                await self._look()
            except (EndcapError, *UNAVAILABLE, asyncpg.PostgresError) as error:
                log.debug("refill.waits", error=repr(error))
            except Exception:
                log.exception("refill.failed")
            await asyncio.sleep(LOOK_SECONDS)

    async def _look(self) -> None:
        """Compare the mark with the last one known; make good what Redis lost since; mark again.

        The mark is a time by Redis's own clock, so that it says the same to every worker.
        """
        mark, clock = await self._redis.execute(("GET", HISTORIES_WHOLE), ("TIME",))
        now, marked = int(clock[0]), int(mark or 0)
        # A worker that has just started knows no mark: then one that is fresh is as good.
        expected = self._marked or now - FRESH_SECONDS
        if marked < expected - TOLERATED_SECONDS:
            await self.refill(datetime.fromtimestamp(marked, UTC) - MARGIN)
        await self._redis.execute(("SET", HISTORIES_WHOLE, now))
        self._marked = now

    async def refill(self, lost_since: datetime) -> None:
        """Read again what happened, and which users changed, since then."""
        interactions = await self._refill_histories(lost_since)
        users = await self._refill_users(lost_since)
        REFILLED.inc(interactions)
        log.info("refill.done", interactions=interactions, users=users, lost_since=lost_since.isoformat())

    async def _refill_histories(self, lost_since: datetime) -> int:
        self._histories.forget_links()
        since, count = datetime.now(UTC) - self._kept.bought, 0
        received_since = max(since, lost_since)
        async with self._database.transaction(readonly=True) as connection:
            cursor = await connection.cursor(*SQL.since(since=since, received_since=received_since))
            while rows := await cursor.fetch(BATCH):
                await self._histories.record(
                    [
                        HistoryEvent(*row)
                        for row in rows
                        if row["item_id"] and is_kept(row["event_type"], row["user_id"], row["session_id"])
                    ],
                    [
                        Login(row["tenant"], row["session_id"], row["user_id"])
                        for row in rows
                        if row["user_id"] and row["session_id"] and row["user_id"] != row["session_id"]
                    ],
                )
                count += len(rows)
        return count

    async def _refill_users(self, lost_since: datetime) -> int:
        """The number of users. Each page is read again after it was written, until it did not change.

        Else a newer state that came from Kafka between reading and writing would be overwritten.
        """
        last, count = ("", ""), 0
        while page := await self._users_after(last, lost_since):
            written: dict[tuple[str, str], About] = {}
            while page != written:
                gone = dict.fromkeys(written.keys() - page.keys())
                await self._places.put({**gone, **page})
                written, page = page, await self._users_after(last, lost_since)
            if not written:
                break
            last, count = next(reversed(written)), count + len(written)
        return count

    async def _users_after(self, last: tuple[str, str], since: datetime) -> dict[tuple[str, str], About]:
        query = SQL.users_since(tenant=last[0], user_id=last[1], since=since, most=BATCH)
        return {
            (row["tenant"], row["user_id"]): About.of(
                row["name"], (row["city"], row["province"], row["country"]), row["attributes"] or {}
            )
            for row in await self._database.fetch(*query)
        }
