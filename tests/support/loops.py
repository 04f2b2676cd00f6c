"""A consumer's loop that is held in one of its states, with another poll waiting, until it is ended there.

`python -m tests.support.loops <folder> <state>=<topic> ...` holds several in a process of their own, which a
test may kill: it prints `reached` once each is in its state, and `waiting` once each has another poll.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from aiokafka.errors import KafkaError

from shared.errors import Transient
from shared.events.topics import INTERACTIONS, Topic
from shared.kafka import Consumer, Record
from shared.kafka.adapter import PolledConsumer
from shared.kafka.subscription import Subscription
from shared.settings import KafkaSettings
from tests.support.waiting import eventually

STATES = ("idle", "handling", "hanging", "back-off", "dead-lettering", "committing", "rebalancing")
BACK_OFF_CALLS = 5
"""After so many the pause is longer than a second: whoever ends it then ends it in the pause."""

SERVICE = "tracker"


@dataclass
class Loop:
    """One consumer of a topic. Its handler appends the ids of events to a file: that is what is stored."""

    settings: KafkaSettings
    topic: Topic
    state: str
    store: Path
    free: asyncio.Event = field(default_factory=asyncio.Event)
    reached: asyncio.Event = field(default_factory=asyncio.Event)
    calls: int = 0

    def __post_init__(self) -> None:
        self.store.touch()
        # Asleep between two polls is as idle as a loop gets.
        self.consumer = self._consumer(self.handle, gather=3_600.0 if self.state == "idle" else 0.01)
        self.joining = self._consumer(self.keep)
        if self.state == "dead-lettering":
            self._hold_dead_letters()
        if self.state == "committing":
            self._hold_commits()

    @property
    def subscription(self) -> Subscription:
        """The one that is held."""
        return self.consumer.subscriptions[0]

    @property
    def first(self) -> list[Record]:
        """What must be published before it starts, beside events, for it to reach its state."""
        return [Record(b"shop:u1", b"{not json")] if self.state == "dead-lettering" else []

    async def reach(self) -> None:
        """Start, and return when it is in its state."""
        await self.consumer.start()
        await self.reached.wait()
        if self.state == "rebalancing":
            await self.joining.start()
            await eventually(lambda: _assigned(self.joining) and _assigned(self.consumer))

    def release(self) -> None:
        """Let it go on: the dependency is back, though the loop may still sleep."""
        self.free.set()
        self.subscription.session._gather = 0.01

    async def until_another_poll_waits(self) -> None:
        """Return when the client has fetched what is to be polled next."""
        await eventually(lambda: bool(_client(self.consumer)._fetcher._records), "a poll waits")

    async def handle(self, events: Sequence[Any]) -> None:
        """Store the events, unless that is held up."""
        self.calls += 1
        if not self.free.is_set():
            match self.state:
                case "handling" | "rebalancing":
                    self.reached.set()
                    await self.free.wait()
                case "hanging":
                    self.reached.set()
                    await asyncio.Event().wait()
                case "back-off":
                    if self.calls >= BACK_OFF_CALLS:
                        self.reached.set()
                    raise Transient("Postgres is away")
                case "idle":
                    self.reached.set()
        await self.keep(events)

    async def keep(self, events: Sequence[Any]) -> None:
        """Store the events."""
        with self.store.open("a") as file:
            file.writelines(f"{event.event_id}\n" for event in events)

    @property
    def stored(self) -> list[str]:
        """The ids of the events in the order in which they were stored."""
        return self.store.read_text().split()

    def _consumer(self, handler: Any, **options: Any) -> Consumer:
        consumer = Consumer(self.settings, SERVICE)
        consumer.subscribe(self.topic, handler, **options)
        return consumer

    def _hold_dead_letters(self) -> None:
        producer = self.consumer._dead_letters
        deliver = producer.deliver

        async def held(*arguments: Any) -> None:
            if not self.free.is_set():
                self.calls += 1
                if self.calls >= BACK_OFF_CALLS:
                    self.reached.set()
                raise Transient("Kafka is away")
            await deliver(*arguments)

        producer.deliver = held  # type: ignore[assignment, method-assign]

    def _hold_commits(self) -> None:
        session = self.subscription.session
        make = session._consumer

        def held(*arguments: Any, **options: Any) -> PolledConsumer:
            consumer = make(*arguments, **options)
            commit = consumer.commit_finished

            async def commit_finished() -> Any:
                if not self.free.is_set():
                    self.reached.set()
                    raise KafkaError("the coordinator is away")
                return await commit()

            consumer.commit_finished = commit_finished  # type: ignore[method-assign]
            return consumer

        session._consumer = held  # type: ignore[method-assign]


def _client(consumer: Consumer) -> Any:
    return consumer.subscriptions[0].session.consumer


def _assigned(consumer: Consumer) -> int:
    client = _client(consumer)
    return len(client.assignment()) if client is not None else 0


async def _hold(folder: Path, topics: dict[str, str]) -> None:
    loops = [Loop(KafkaSettings(), _topic(name), state, folder / state) for state, name in topics.items()]
    await asyncio.gather(*(loop.reach() for loop in loops))
    _say("reached")
    await asyncio.gather(*(loop.until_another_poll_waits() for loop in loops if loop.state != "rebalancing"))
    _say("waiting")
    await asyncio.Event().wait()


def _say(word: str) -> None:
    sys.stdout.write(f"{word}\n")
    sys.stdout.flush()


def _topic(name: str) -> Topic:
    return replace(INTERACTIONS, name=name, consumers=frozenset({SERVICE}))


if __name__ == "__main__":
    asyncio.run(_hold(Path(sys.argv[1]), dict(pair.split("=") for pair in sys.argv[2:])))
