"""Run work again and again, whatever fails."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import asyncpg
import structlog

from shared.postgres import UNAVAILABLE

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

RETRY_SECONDS = 1.0

log = structlog.get_logger()


async def repeat(work: Callable[[], Awaitable[None]], pause_seconds: float) -> None:
    """Run `work` forever, with a pause after each run."""
    while True:
        await run_safely(work)
        await asyncio.sleep(pause_seconds)


async def run_safely(work: Callable[[], Awaitable[None]]) -> None:
    """Run `work`; log an error of Postgres or a defect, and wait a second after it."""
    try:
        await work()
    except (*UNAVAILABLE, asyncpg.PostgresError) as error:
        log.warning("states.postgres_unavailable", error=repr(error))
        await asyncio.sleep(RETRY_SECONDS)
    except Exception:
        log.exception("states.read_failed")
        await asyncio.sleep(RETRY_SECONDS)
