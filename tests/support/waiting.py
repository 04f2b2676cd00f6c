"""Waiting for what has to come: how fast the machine is says nothing of the product."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from inspect import isawaitable
from typing import Any, TypeVar

Found = TypeVar("Found")

PATIENCE = 300.0
"""Seconds that a test waits for what has to come. No promise of the product: those have their own bounds."""

_MOST_TOLD = 1_000


def until(
    look: Callable[[], Found | None],
    what: str = "",
    *,
    enough: Callable[[Found], bool] = bool,
    every: float = 0.05,
) -> Found:
    """Look until `enough` holds of what is seen, and give that; AssertionError after `PATIENCE`."""
    deadline = time.monotonic() + PATIENCE
    while True:
        found = look()
        if found is not None and enough(found):
            return found
        if time.monotonic() > deadline:
            raise AssertionError(_sentence(what or _name(look), found))
        time.sleep(every)


async def eventually(
    look: Callable[[], Any],
    what: str = "",
    *,
    enough: Callable[[Any], bool] = bool,
    every: float = 0.02,
) -> Any:
    """`until` in a loop that goes on meanwhile; `look` may be a coroutine function."""
    found: Any = None
    try:
        async with asyncio.timeout(PATIENCE) as patience:
            while True:
                seen = look()
                found = await seen if isawaitable(seen) else seen
                if found is not None and enough(found):
                    return found
                await asyncio.sleep(every)
    except TimeoutError:
        if not patience.expired():
            raise
        raise AssertionError(_sentence(what or _name(look), found)) from None


def _name(look: object) -> str:
    return str(getattr(look, "__qualname__", look)).replace(".<locals>", "")


def _sentence(what: str, found: object) -> str:
    told = "" if found is None or isinstance(found, bool) else f"; last seen: {found!r}"
    return f"after {PATIENCE:.0f} s still not: {what}{told}"[:_MOST_TOLD]
