"""Before the snapshot: the rows of an import must have reached the log."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import structlog

from shared.errors import Permanent, Transient
from shared.events.topics import INTERACTIONS, ORDERS, Topic
from shared.kafka import missing

if TYPE_CHECKING:
    from services.trainer.worker.running import Work

LOOK_SECONDS = 0.5

# Orders become purchases first, and purchases are stored then: so one after the other.
STAGES = ((ORDERS, "tracker-orders"), (INTERACTIONS, "tracker-store"))

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Waiting:
    """Waits until the tracker's groups have handled what was in their topics when the wait began."""

    ends: Callable[[Topic], Awaitable[Mapping[int, int]]]
    committed: Callable[[str, Topic], Awaitable[Mapping[int, int]]]
    longest: timedelta

    async def wait(self, work: Work) -> bool:
        """Nothing to do for a run that no import asked for. Raises Permanent when it takes too long."""
        if not work.run.imports:
            return False
        for stage, (topic, group) in enumerate(STAGES):
            # Noted once, so that neither traffic nor another attempt moves the goal.
            noted = work.detail.get(topic.name)
            if noted is None:
                noted = await self._ends(work, topic)
                await work.report(stage / len(STAGES), **{topic.name: noted})
            await self._until_committed(work, topic, group, {int(key): end for key, end in noted.items()})
        return True

    async def _ends(self, work: Work, topic: Topic) -> dict[str, int]:
        while True:
            try:
                return {str(partition): end for partition, end in (await self.ends(topic)).items()}
            except Transient as away:
                self._check_time(work, f"Kafka did not say how far {topic.name} goes: {away}")
            await asyncio.sleep(LOOK_SECONDS)

    async def _until_committed(self, work: Work, topic: Topic, group: str, ends: dict[int, int]) -> None:
        while True:
            try:
                left = missing(ends, await self.committed(group, topic))
            except Transient as away:
                self._check_time(work, f"Kafka did not say how far {group} is: {away}")
            else:
                if not left:
                    return
                await work.report(None, **{f"{topic.name}-left": left})
                self._check_time(
                    work,
                    f"{left} records of {topic.name} were not handled by {group}; see whether the "
                    "tracker's worker is running, then start a run again",
                )
            await asyncio.sleep(LOOK_SECONDS)

    def _check_time(self, work: Work, sentence: str) -> None:
        if datetime.now(UTC) - work.began > self.longest:
            minutes = self.longest.total_seconds() / 60
            raise Permanent(f"the rows of the import did not arrive within {minutes:g} minutes: {sentence}")
