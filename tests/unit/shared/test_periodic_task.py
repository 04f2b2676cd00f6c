"""A periodic task goes on after any failure, and pauses longer while failures last."""

from __future__ import annotations

import asyncio
from typing import NoReturn

import pytest

from shared.errors import Transient
from shared.periodic_task import PeriodicTask
from shared.postgres.notices import Notice, Notices
from tests.support.waiting import eventually


async def pauses_after(
    monkeypatch: pytest.MonkeyPatch, results: list[Exception | None], *, seconds: float
) -> list[float]:
    """Return the seconds of the pause after each call, which raises an exception or succeeds (None)."""
    pauses: list[float] = []
    enough, left, real_sleep = asyncio.Event(), list(results), asyncio.sleep

    async def work() -> None:
        if left and (failure := left.pop(0)) is not None:
            raise failure

    async def sleep(pause: float) -> None:
        task = asyncio.current_task()
        if task is None or task.get_name() != "some":
            await real_sleep(pause)  # a task of an earlier test
            return
        pauses.append(pause)
        if len(pauses) == len(results):
            enough.set()
            await asyncio.Event().wait()

    monkeypatch.setattr(asyncio, "sleep", sleep)
    part = PeriodicTask("some", work, seconds=seconds)
    await part.start()
    await enough.wait()
    assert part.alive() is None
    await part.stop()
    return pauses


async def test_pauses_grow_while_calls_fail_and_shrink_after_a_success(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    results = [Transient("down"), ValueError("a defect"), Transient("down"), Transient("down"), None]
    assert await pauses_after(monkeypatch, results, seconds=5) == [10, 20, 30, 30, 5]


async def test_a_failure_never_shortens_the_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    assert await pauses_after(monkeypatch, [Transient("down"), None], seconds=300) == [300, 300]


async def test_a_notice_ends_a_pause() -> None:
    calls: list[int] = []
    notice = Notice(Notices(_refuse, "sync"))

    async def work() -> None:
        calls.append(1)

    part = PeriodicTask("noticed", work, seconds=86_400, notices=lambda: notice)
    await part.start()
    for count in (1, 2, 3):
        await eventually(lambda count=count: len(calls) == count, f"call {count}")
        notice.give()
    await part.stop()


async def _refuse() -> NoReturn:
    raise OSError("refused")
