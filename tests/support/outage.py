"""Components that are unavailable for a while, as after a crash or during an upgrade."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import TYPE_CHECKING

import pytest

from tests.support.kafka import Broker

if TYPE_CHECKING:
    from tests.support.stack import Components


@asynccontextmanager
async def stopped(components: Components, *names: str) -> AsyncIterator[None]:
    """Stop components of the local stack, and start them at the end; they are ready when this returns."""
    _check_own(components, *names)
    for name in names:
        await asyncio.to_thread(components.stack.supervisor.stop, name)
    try:
        yield
    finally:
        await asyncio.to_thread(components.stack.start, *names)


@contextmanager
def shared_broker(components: Components) -> Iterator[Broker]:
    """Yield the broker of this process of tests, for tests that kill or stop it; it runs at the end."""
    _check_own(components, "kafka")
    try:
        yield Broker(components.stack)
    finally:
        components.stack.start("kafka")


def _check_own(components: Components, *names: str) -> None:
    if external := set(names) & set(components.stack.external):
        pytest.fail(
            f"{', '.join(external)} is external and must not be stopped: unset its address for this test"
        )
