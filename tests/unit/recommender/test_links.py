"""Sessions are linked to their users not with every event, but before the link expires."""

from __future__ import annotations

import time
from datetime import timedelta
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

import pytest

from services.recommender.domain.history_events import HistoryEvent
from services.recommender.store import histories
from services.recommender.store.histories import Histories, Retention
from services.recommender.store.scripts import LINK

if TYPE_CHECKING:
    from shared.redis import Multiplexer

HOUR = 3600.0
MOMENT = HistoryEvent("shop", "u1", "s1", "i1", "view", 1_700_000_000.0, "e1")


class Redis:
    """A stub that counts the calls that link sessions."""

    def __init__(self) -> None:
        self.links = 0

    async def execute(self, *commands: tuple[Any, ...]) -> list[Any]:
        self.links += sum(command[1] == LINK.sha1 for command in commands)
        return [1 for _ in commands]


@pytest.mark.parametrize(
    ("session_days", "hours", "links"),
    [(14, (0, 1, 23.9), 1), (14, (0, 24, 25, 47, 48), 3), (1, (0, 11, 12, 13), 2)],
)
async def test_an_active_session_is_linked_once_a_day(
    monkeypatch: pytest.MonkeyPatch, session_days: int, hours: tuple[float, ...], links: int
) -> None:
    redis = Redis()
    kept = Retention(timedelta(days=90), timedelta(days=90), timedelta(days=session_days))
    written = Histories(cast("Multiplexer", redis), kept)

    for hour in hours:
        clock = SimpleNamespace(time=time.time, monotonic=lambda now=5.0 + hour * HOUR: now)
        monkeypatch.setattr(histories, "time", clock)
        await written.record([MOMENT])

    assert redis.links == links
