"""The wait before a snapshot, until the rows of an import are stored."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import structlog

from services.trainer.worker.import_wait import ENDED_AT
from shared.errors import Permanent, Transient
from shared.events.topics import INTERACTIONS, ORDERS, Topic
from shared.kafka import missing

if TYPE_CHECKING:
    from services.trainer.worker.run_job import StepContext

POLL_SECONDS = 0.5

STAGES = ((ORDERS, "tracker-orders"), (INTERACTIONS, "tracker-store"))
"""Topics with their consumer groups, in this order: orders become interactions, which are then stored."""

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class OffsetBarrier:
    """Waits until the tracker's consumer groups have committed the end offsets at the start of the wait."""

    ends: Callable[[Topic], Awaitable[Mapping[int, int]]]
    committed: Callable[[str, Topic], Awaitable[Mapping[int, int]]]
    max_wait: timedelta

    async def wait(self, context: StepContext) -> bool:
        """Wait, and return True; return False for a run without an import. Permanent after `max_wait`."""
        if not context.run.imports:
            return False
        for stage, (topic, group) in enumerate(STAGES):
            # Stored once, so that neither new records nor a retry change them.
            ends = context.detail.get(topic.name)
            if ends is None:
                ends = await self._end_offsets(context, topic)
                await context.report(stage / len(STAGES), **{topic.name: ends})
            await self._until_committed(context, topic, group, {int(key): end for key, end in ends.items()})
        return True

    async def _end_offsets(self, context: StepContext, topic: Topic) -> dict[str, int]:
        while True:
            try:
                return {str(partition): end for partition, end in (await self.ends(topic)).items()}
            except Transient as error:
                self._check_time(context, f"Kafka did not return the end offsets of {topic.name}: {error}")
            await asyncio.sleep(POLL_SECONDS)

    async def _until_committed(
        self, context: StepContext, topic: Topic, group: str, ends: dict[int, int]
    ) -> None:
        while True:
            try:
                left = missing(ends, await self.committed(group, topic))
            except Transient as error:
                self._check_time(context, f"Kafka did not return the offsets of {group}: {error}")
            else:
                if not left:
                    return
                await context.report(None, **{f"{topic.name}-left": left})
                self._check_time(
                    context,
                    f"{left} records of {topic.name} were not handled by {group}; see whether the "
                    "tracker's worker is running, then start a run again",
                )
            await asyncio.sleep(POLL_SECONDS)

    def _check_time(self, context: StepContext, sentence: str) -> None:
        ended_at = context.detail.get(ENDED_AT)
        started_at = context.started_at if ended_at is None else datetime.fromisoformat(ended_at)
        if datetime.now(UTC) - started_at > self.max_wait:
            minutes = self.max_wait.total_seconds() / 60
            raise Permanent(f"the rows of the import were not stored within {minutes:g} minutes: {sentence}")
