"""Looking for what metric attributions have to count: closed quarters of an hour with other events."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

import structlog

from services.engine.store import attributions
from services.engine.worker.attributions import KIND, metrics_of
from shared import jobs
from shared.postgres import UNAVAILABLE, Database

EVERY_SECONDS = 10.0

log = structlog.get_logger()


@dataclass
class Counting:
    """Queues the counts that are due. Several at once queue none twice."""

    database: Database
    name: str = "counting"
    _task: asyncio.Task[None] | None = field(default=None, repr=False)

    async def start(self) -> None:
        """Begin; Postgres may come later."""
        self._task = asyncio.create_task(self._loop())

    async def stop(self) -> None:
        """Stop looking."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    def alive(self) -> str | None:
        """The loop never ends by itself."""
        return "the loop of metric attributions has ended" if self._task and self._task.done() else None

    def ready(self) -> str | None:
        """Nobody waits for a count."""
        return None

    async def _loop(self) -> None:
        while True:
            try:
                await self.queue_due()
                await attributions.forget(self.database)
            except UNAVAILABLE as error:
                log.warning("engine.counting_put_off", error=str(error))
            await asyncio.sleep(EVERY_SECONDS)

    async def queue_due(self) -> int:
        """Queue a count of each bucket that needs one; gives how many."""
        queued = 0
        async with self.database.transaction() as connection:
            for found in await attributions.active(connection):
                types = sorted({metric.canonical for metric in metrics_of(found)})
                for bucket, events in await attributions.to_count(connection, found, types):
                    begin = int(bucket.timestamp())
                    payload = {"resource": found.id, "bucket": begin, "events": events}
                    key = f"{found.id}:{begin}:{events}"
                    queued += await jobs.enqueue(connection, KIND, key, payload) is not None
        return queued
