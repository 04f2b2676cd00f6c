"""Making histories anew when Redis has lost them: after FLUSHALL, a lost disk, or the first start."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import structlog

from services.recommender.domain.moments import Moment, is_kept
from services.recommender.metrics import REFILLED
from services.recommender.store.keys import HISTORIES_WHOLE
from services.recommender.store.lists import SQL
from shared.errors import EndcapError
from shared.postgres import UNAVAILABLE

if TYPE_CHECKING:
    from services.recommender.store.histories import Histories, Kept
    from shared.postgres import Database
    from shared.redis import Multiplexer

LOOK_SECONDS = 2.0
BATCH = 2_000

log = structlog.get_logger()


class Refill:
    """Looks whether Redis still has what was written there, and if not reads it from the tracker's view.

    A part. Several workers may do it at once; a repetition changes nothing.
    """

    name = "refill"

    def __init__(self, redis: Multiplexer, database: Database, histories: Histories, kept: Kept) -> None:
        self._redis = redis
        self._database = database
        self._histories = histories
        self._kept = kept
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
                (whole,) = await self._redis.execute(("EXISTS", HISTORIES_WHOLE))
                if not whole:
                    await self._refill()
            except (EndcapError, *UNAVAILABLE) as error:
                log.debug("refill.waits", error=repr(error))
            except Exception:
                log.exception("refill.failed")
            await asyncio.sleep(LOOK_SECONDS)

    async def _refill(self) -> None:
        self._histories.forget_links()
        since, count = datetime.now(UTC) - self._kept.bought, 0
        async with self._database.transaction(readonly=True) as connection:
            cursor = await connection.cursor(*SQL.since(since=since))
            while rows := await cursor.fetch(BATCH):
                await self._histories.record(
                    [
                        Moment(*row)
                        for row in rows
                        if is_kept(row["event_type"], row["user_id"], row["session_id"])
                    ]
                )
                count += len(rows)
        await self._redis.execute(("SET", HISTORIES_WHOLE, "1"))
        REFILLED.inc(count)
        log.info("refill.done", interactions=count)
