"""Wait for a condition, longer on a busy machine: its speed says nothing about the product."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable
from inspect import isawaitable
from typing import Any, TypeVar

Value = TypeVar("Value")

QUIET_SECONDS = 60.0
"""Time that a test waits for a condition on a quiet machine; the product promises its own bounds."""

PATIENCE = 300.0
"""Longest time that a test waits for a condition, or for a call, on the busiest machine, in seconds."""

_MAX_MESSAGE = 1_000


def limit_seconds() -> float:
    """Return how long to wait at the present load: `QUIET_SECONDS` times the runnable processes per core."""
    load = os.getloadavg()[0] / (os.cpu_count() or 1)
    return min(PATIENCE, QUIET_SECONDS * max(1.0, load))


def until(
    look: Callable[[], Value | None],
    condition: str = "",
    *,
    enough: Callable[[Value], bool] = bool,
    every: float = 0.05,
) -> Value:
    """Call `look` until `enough` holds of its value and return that; raise AssertionError after the limit."""
    began = time.monotonic()
    while True:
        value = look()
        if value is not None and enough(value):
            return value
        if time.monotonic() - began > limit_seconds():
            raise AssertionError(_message(condition or _name(look), began, value))
        time.sleep(every)


async def eventually(
    look: Callable[[], Any],
    condition: str = "",
    *,
    enough: Callable[[Any], bool] = bool,
    every: float = 0.02,
) -> Any:
    """Wait as `until` does, without blocking the event loop; `look` may be a coroutine function.

    Raise AssertionError after the limit.
    """
    value: Any = None
    began = time.monotonic()
    try:
        async with asyncio.timeout(PATIENCE) as patience:
            while time.monotonic() - began <= limit_seconds():
                result = look()
                value = await result if isawaitable(result) else result
                if value is not None and enough(value):
                    return value
                await asyncio.sleep(every)
    except TimeoutError:
        if not patience.expired():
            raise
    raise AssertionError(_message(condition or _name(look), began, value)) from None


def _name(look: object) -> str:
    return str(getattr(look, "__qualname__", look)).replace(".<locals>", "")


def _message(condition: str, began: float, value: object) -> str:
    last = "" if value is None or isinstance(value, bool) else f"; last seen: {value!r}"
    return f"after {time.monotonic() - began:.0f} s still not: {condition}{last}"[:_MAX_MESSAGE]
