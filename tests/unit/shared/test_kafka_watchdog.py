"""When the watchdog takes a subscription for one that stands still."""

from __future__ import annotations

from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import pytest
from aiokafka import TopicPartition

from shared.events.topics import INTERACTIONS
from shared.kafka import watchdog
from shared.kafka.activity import Activity
from shared.kafka.watchdog import Watchdog
from shared.settings import KafkaSettings

STALL_SECONDS = 60.0
HOUR = 3_600.0


@dataclass
class Log:
    """The offsets of a topic of one partition and of its group."""

    end: int = 7
    committed_up_to: int = 7

    async def ends(self, _: str) -> dict[int, int]:
        return {0: self.end}

    async def committed(self, *_: str) -> dict[int, int]:
        return {0: self.committed_up_to}


@dataclass
class Clock:
    """Monotonic seconds that a test sets."""

    now: float = 2 * HOUR

    def __call__(self) -> float:
        return self.now


@dataclass(eq=False)
class Idle:
    """A subscription whose consumer polls, and has handled nothing for an hour."""

    clock: Clock
    group: str = "tracker"
    topic: Any = INTERACTIONS
    activity: Activity = field(default_factory=lambda: Activity(INTERACTIONS.name, "tracker"))

    def __post_init__(self) -> None:
        self.activity.active_at = self.clock.now - HOUR

    @property
    def session(self) -> Any:
        assigned = {TopicPartition(self.topic.name, 0)}
        consumer = SimpleNamespace(opened_at=0.0, polled_at=self.clock.now, assignment=lambda: assigned)
        return SimpleNamespace(consumer=consumer, opening=False)

    def caught_up(self) -> None:
        """Do nothing: nothing was halted."""


async def test_a_record_that_has_just_come_is_no_standstill(monkeypatch: pytest.MonkeyPatch) -> None:
    clock, log = Clock(), Log()
    monkeypatch.setattr(watchdog, "monotonic", clock)
    subscription: Any = Idle(clock)
    client: Any = log
    guard = Watchdog(KafkaSettings(), "watchdog", STALL_SECONDS)

    async def look(seconds: float) -> str | None:
        clock.now += seconds
        return await guard._standstill(subscription, client)

    assert await look(10) is None
    log.end += 1
    assert await look(10) is None
    assert await look(STALL_SECONDS) is None
    assert await look(1) == "tracker gets none of 1 records of interactions-v1"
    log.committed_up_to = log.end
    assert await look(10) is None
    log.end += 1
    assert await look(10) is None
