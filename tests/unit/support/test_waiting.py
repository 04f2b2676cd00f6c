"""Waits end in time: soon on a quiet machine, later on a busy one."""

from __future__ import annotations

import asyncio
import os

import pytest

from tests.support import waiting


@pytest.mark.parametrize(("load_per_core", "seconds"), [(0.1, 60), (3, 180), (40, 300)])
def test_the_limit_follows_the_load(
    monkeypatch: pytest.MonkeyPatch, load_per_core: float, seconds: float
) -> None:
    monkeypatch.setattr(os, "getloadavg", lambda: (load_per_core * (os.cpu_count() or 1), 0.0, 0.0))

    assert waiting.limit_seconds() == seconds


def test_a_wait_that_fails_says_for_what_and_what_it_saw(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(waiting, "limit_seconds", lambda: 0.1)

    with pytest.raises(AssertionError, match="still not: two rows; last seen: 1"):
        waiting.until(lambda: 1, "two rows", enough=lambda rows: rows == 2)
    with pytest.raises(AssertionError, match="still not: two rows; last seen: 1"):
        asyncio.run(waiting.eventually(lambda: 1, "two rows", enough=lambda rows: rows == 2))


def test_an_error_of_the_look_is_raised_at_once() -> None:
    def look() -> None:
        raise TimeoutError("of the client")

    with pytest.raises(TimeoutError, match="of the client"):
        asyncio.run(waiting.eventually(look))
