"""Rounds go on whatever happens in one of them."""

from __future__ import annotations

import asyncio

import pytest

from shared import rounds
from shared.errors import Transient
from shared.rounds import Rounds


async def paused(
    monkeypatch: pytest.MonkeyPatch, failures: list[Exception | None], *, seconds: float
) -> list[float]:
    """How long rounds wait after each of the failures (None: after one that went well)."""
    pauses: list[float] = []
    enough, left = asyncio.Event(), list(failures)

    async def work() -> None:
        if left and (failure := left.pop(0)) is not None:
            raise failure

    async def sleep(pause: float) -> None:
        pauses.append(pause)
        if len(pauses) == len(failures):
            enough.set()
            await asyncio.Event().wait()

    monkeypatch.setattr(rounds.asyncio, "sleep", sleep)
    part = Rounds("some", work, seconds=seconds)
    await part.start()
    await enough.wait()
    assert part.alive() is None
    await part.stop()
    return pauses


async def test_what_fails_is_done_again_ever_later_until_it_goes_well(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    failures = [Transient("away"), ValueError("a defect"), Transient("away"), Transient("away"), None]
    assert await paused(monkeypatch, failures, seconds=5) == [10, 20, 30, 30, 5]


async def test_a_failure_never_hastens_the_next_round(monkeypatch: pytest.MonkeyPatch) -> None:
    assert await paused(monkeypatch, [Transient("away"), None], seconds=300) == [300, 300]
