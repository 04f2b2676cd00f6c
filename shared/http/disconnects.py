"""Work that ends when its client goes away."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import TYPE_CHECKING, Any, TypeVar

from shared.errors import ApiError

if TYPE_CHECKING:
    from starlette.requests import Request

Result = TypeVar("Result")

LOOK_SECONDS = 0.5
"""Seconds between two looks at the connection; arbitrary."""


async def unless_disconnected(work: Coroutine[Any, Any, Result], request: Request) -> Result:
    """Return the result of `work`; cancel it and raise ApiError 409 if the client closes the connection."""
    running = asyncio.create_task(work)
    try:
        while not (await asyncio.wait({running}, timeout=LOOK_SECONDS))[0]:
            if await request.is_disconnected():
                raise ApiError(409, "Cancelled", "The client closed the connection.")
        return running.result()
    finally:
        running.cancel()
