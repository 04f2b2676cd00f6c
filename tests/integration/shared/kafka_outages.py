"""An outage of the broker that several coroutines share: starting a broker takes four seconds of CPU."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from time import monotonic

from tests.support.kafka import Broker
from tests.support.lateness import lateness


@dataclass
class Phase:
    """A change of the broker that waits until every actor is ready for it."""

    barrier: asyncio.Barrier
    over: asyncio.Event = field(default_factory=asyncio.Event)

    async def passed(self) -> None:
        """Say that this actor is ready, and return after the change."""
        await self.barrier.wait()
        await self.over.wait()


class Outage:
    """An outage of the broker with several actors, which check different clients at the same time.

    An actor awaits `begins` and `ends`; what it does between them, it does while the broker is away.
    """

    def __init__(self, broker: Broker, actors: int) -> None:
        self.broker = broker
        self.settings = broker.settings
        self.beginning, self.end = (Phase(asyncio.Barrier(actors + 1)) for _ in range(2))
        self._turn = asyncio.Lock()

    async def begins(self) -> None:
        """Return when the broker is away."""
        await self.beginning.passed()

    async def ends(self) -> None:
        """Return when the broker is back."""
        await self.end.passed()

    @asynccontextmanager
    async def at_most(self, seconds: float) -> AsyncIterator[None]:
        """Assert that a block, which runs while no other of these does, takes no longer than that."""
        async with self._turn, lateness() as late:
            began = monotonic()
            yield
            assert monotonic() - began < seconds + late.worst


Actor = Callable[[Outage], Awaitable[None]]


async def stopped(broker: Broker, *actors: Actor) -> None:
    """Stop the broker, and start it again."""
    await _during(broker, broker.stop, broker.start, actors)


async def killed(broker: Broker, *actors: Actor) -> None:
    """Kill the broker, and return when it is back."""

    async def kill() -> None:
        broker.kill()
        await asyncio.sleep(0.5)

    async def is_back() -> None:
        await asyncio.sleep(0.5)
        await broker.until_ready()

    await _during(broker, kill, is_back, actors)


async def _during(
    broker: Broker,
    begin: Callable[[], Awaitable[None]],
    end: Callable[[], Awaitable[None]],
    actors: tuple[Actor, ...],
) -> None:
    outage = Outage(broker, len(actors))

    async def act(actor: Actor) -> None:
        await actor(outage)

    async with asyncio.TaskGroup() as group:
        for actor in actors:
            group.create_task(act(actor))
        await outage.beginning.barrier.wait()
        try:
            await begin()
            outage.beginning.over.set()
            await outage.end.barrier.wait()
        finally:
            await end()
        outage.end.over.set()
