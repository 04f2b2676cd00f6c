"""Script calls that write the histories of several subjects."""

from __future__ import annotations

import pytest

from services.recommender.domain.history_events import Login
from services.recommender.store.histories import Histories
from services.recommender.store.keys import subjects_key
from shared.redis import Multiplexer
from tests.integration.recommender.histories import NOW, RETENTION, bought, expected, history, history_event


async def test_many_users_and_sessions_are_written_together(
    redis: Multiplexer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each has its own events, whichever call wrote them; a linked session's are its user's too."""
    await redis.execute(("FLUSHDB",))
    monkeypatch.setattr("services.recommender.store.histories.SUBJECTS_PER_CALL", 4)
    histories = Histories(redis, RETENTION)
    await histories.record([], [Login("shop", "s3", "u3")])
    users = [history_event(n, NOW - n, user=f"u{n % 10}") for n in range(30)]
    sessions = [history_event(n, NOW - n, user=None, session=f"s{n % 5}") for n in range(30, 45)]

    await histories.record([event for pair in zip(users, reversed(users), strict=True) for event in pair])
    await histories.record([*sessions, *users])

    for n in range(10):
        own = [event for event in users if event.user_id == f"u{n}"]
        own += [event for event in sessions if n == 3 and event.session_id == "s3"]
        newest, purchases = expected(own)
        assert [(seconds, event) for _, seconds, event in await history(redis, f"u{n}")] == newest
        assert await bought(redis, f"u{n}") == purchases
    for n in range(5):
        newest, _ = expected([event for event in sessions if event.session_id == f"s{n}"])
        assert [(seconds, event) for _, seconds, event in await history(redis, f"s{n}")] == newest
    (subjects,) = await redis.execute(("ZRANGE", subjects_key("shop"), 0, -1))
    assert {each.decode() for each in subjects} == {f"u{n}" for n in range(10)} | {f"s{n}" for n in range(5)}
