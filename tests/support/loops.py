"""A consumer that is held in one of the states of its loop, with more records to poll, until it is stopped.

`python -m tests.support.loops <folder> <state>=<topic> ...` holds several in a process of their own, which a
test may kill: it prints `reached` once each is in its state, and `waiting` once each has fetched more.
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
from shared.kafka import Consumer, Record, adapter
from shared.kafka.adapter import PolledConsumer
from shared.kafka.subscription import Subscription
from shared.settings import KafkaSettings
from tests.support.waiting import eventually

STATES = ("idle", "handling", "hanging", "back-off", "dead-lettering", "committing", "rebalancing")
BACK_OFF_CALLS = 5
"""After this many calls the back-off is longer than a second, so that a stop interrupts it."""

SERVICE = "tracker"


@dataclass
class Loop:
    """One consumer of a topic. Its handler stores events: it appends their ids to a file."""

    settings: KafkaSettings
    topic: Topic
    state: str
    store: Path
    released: asyncio.Event = field(default_factory=asyncio.Event)
    reached: asyncio.Event = field(default_factory=asyncio.Event)
    calls: int = 0

    def __post_init__(self) -> None:
        self.store.touch()
        # The idle loop sleeps between two polls.
        self.consumer = self._consumer(self.handle, gather=3_600.0 if self.state == "idle" else 0.01)
        self.joining = self._consumer(self.keep)
        if self.state == "dead-lettering":
            self._hold_dead_letters()
        if self.state == "committing":
            self._hold_commits()

    @property
    def subscription(self) -> Subscription:
        """Return the subscription that is held."""
        return self.consumer.subscriptions[0]

    @property
    def first(self) -> list[Record]:
        """Return the records to publish before the start, beside events, so that it reaches its state."""
        return [Record(b"shop:u1", b"{not json")] if self.state == "dead-lettering" else []

    async def reach(self) -> None:
        """Start it, and return when it is in its state."""
        await self.consumer.start()
        await self.reached.wait()
        if self.state == "rebalancing":
            await self.joining.start()
            await eventually(lambda: _assigned(self.joining) and _assigned(self.consumer))

    def release(self) -> None:
        """Let it continue: the dependency is available again, though the loop may still sleep."""
        self.released.set()
        self.subscription.session._gather = 0.01

    async def until_another_poll_waits(self) -> None:
        """Return when the client has fetched the records of the next poll."""
        await eventually(lambda: bool(_client(self.consumer)._fetcher._records), "a poll waits")

    async def handle(self, events: Sequence[Any]) -> None:
        """Store the events, or stay in the state; raise Transient in the state back-off."""
        self.calls += 1
        if not self.released.is_set():
            match self.state:
                case "handling" | "rebalancing":
                    self.reached.set()
                    await self.released.wait()
                case "hanging":
                    self.reached.set()
                    await asyncio.Event().wait()
                case "back-off":
                    if self.calls >= BACK_OFF_CALLS:
                        self.reached.set()
                    raise Transient("Postgres is unavailable")
                case "idle":
                    self.reached.set()
        await self.keep(events)

    async def keep(self, events: Sequence[Any]) -> None:
        """Append the ids of the events to the file."""
        with self.store.open("a") as file:
            file.writelines(f"{event.event_id}\n" for event in events)

    @property
    def stored(self) -> list[str]:
        """Return the ids of the stored events in order."""
        return self.store.read_text().split()

    def _consumer(self, handler: Any, **options: Any) -> Consumer:
        consumer = Consumer(self.settings, SERVICE)
        consumer.subscribe(self.topic, handler, **options)
        return consumer

    def _hold_dead_letters(self) -> None:
        producer = self.consumer._dead_letters
        deliver = producer.deliver

        async def deliver_when_released(*arguments: Any) -> None:
            """Call `deliver`; raise Transient until the release."""
            if not self.released.is_set():
                self.calls += 1
                if self.calls >= BACK_OFF_CALLS:
                    self.reached.set()
                raise Transient("Kafka is unavailable")
            await deliver(*arguments)

        producer.deliver = deliver_when_released  # type: ignore[assignment, method-assign]

    def _hold_commits(self) -> None:
        session = self.subscription.session
        make = session._consumer

        def make_held(*arguments: Any, **options: Any) -> PolledConsumer:
            consumer = make(*arguments, **options)
            commit = consumer.commit_finished

            async def commit_finished() -> Any:
                """Commit; raise KafkaError until the release."""
                if not self.released.is_set():
                    self.reached.set()
                    raise KafkaError("the coordinator is unavailable")
                return await commit()

            consumer.commit_finished = commit_finished  # type: ignore[method-assign]
            return consumer

        session._consumer = make_held  # type: ignore[method-assign]


def _client(consumer: Consumer) -> Any:
    return consumer.subscriptions[0].session.consumer


def _assigned(consumer: Consumer) -> int:
    client = _client(consumer)
    return len(client.assignment()) if client is not None else 0


async def _hold(folder: Path, topics: dict[str, str]) -> None:
    # The groups wait for a session after the kill; Kafka allows no shorter one.
    adapter.CONSUMER_OPTIONS["session_timeout_ms"] = 6_000
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
