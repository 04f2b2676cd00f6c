"""Components that are unavailable for a while, as after a crash or during an upgrade."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.support.stack import Components


@asynccontextmanager
async def stopped(components: Components, *names: str) -> AsyncIterator[None]:
    """Stop components of the local stack, and start them at the end; they are ready when this returns."""
    if external := set(names) & set(components.stack.external):
        pytest.fail(
            f"{', '.join(external)} is external and must not be stopped: unset its address for this test"
        )
    for name in names:
        await asyncio.to_thread(components.stack.supervisor.stop, name)
    try:
        yield
    finally:
        await asyncio.to_thread(components.stack.start, *names)
