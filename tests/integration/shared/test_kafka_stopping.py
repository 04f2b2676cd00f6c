"""Whatever a consumer does when it is stopped, killed or halts: what Kafka acknowledged is stored.

`pytest -s` prints the table of states and endings with its counts.
"""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from shared.events import Event
from shared.kafka import Publisher, committed, committed_up_to_end
from shared.kafka.records import header
from shared.settings import KafkaSettings
from tests.support.kafka import fresh_topic, interactions, kafka_environment, raw_records, running
from tests.support.loops import SERVICE, STATES, Loop
from tests.support.waiting import PATIENCE, eventually

ROOT = Path(__file__).parents[3]
FIRST, SECOND = 200, 300


@dataclass(frozen=True)
class Row:
    """What became of the events of one loop."""

    state: str
    acknowledged: int
    stored_at_the_end: int
    committed_at_the_end: int
    committed_unstored: int
    stored_later: int
    lost: int

    def __str__(self) -> str:
        """One line of the table."""
        return (
            f"{self.state:<16}{self.acknowledged:>13}{self.stored_at_the_end:>10}"
            f"{self.committed_at_the_end:>11}{self.committed_unstored:>20}{self.stored_later:>14}{self.lost:>6}"
        )


HEAD = "state            acknowledged    stored  committed  committed unstored  stored later  lost"


@dataclass
class Held:
    """A loop with the events that Kafka has acknowledged for it."""

    loop: Loop
    events: list[Event]

    async def publish(self, count: int) -> None:
        """Publish further events."""
        publisher = Publisher(self.loop.settings, SERVICE, [self.loop.topic])
        events = interactions(count)
        async with running(publisher):
            await publisher.publish(self.loop.topic, events, within=PATIENCE)
            if not self.events and self.loop.first:
                await publisher.publish_raw(self.loop.topic.name, self.loop.first, within=PATIENCE)
        self.events += events

    async def at_the_end(self) -> tuple[int, int, int]:
        """Return how many events are stored, committed, and committed without being stored."""
        stored = set(self.loop.stored)
        done = await committed(self.loop.settings, SERVICE, self.loop.topic)
        records = await raw_records(self.loop.settings, self.loop.topic.name)
        passed = [record for record in records if record.offset < done.get(record.partition, 0)]
        ids = {header(record, "ce_id") for record in passed} - {None}
        return len(stored), len(passed), len(ids - stored)

    async def row(self, ended: tuple[int, int, int]) -> Row:
        """Return what became of everything, once nothing is left to be handled."""
        settings, topic = self.loop.settings, self.loop.topic
        await eventually(lambda: committed_up_to_end(settings, SERVICE, topic), every=0.1)
        stored, wanted = set(self.loop.stored), {event.event_id for event in self.events}
        assert len(await raw_records(settings, topic.dlq(SERVICE))) == len(self.loop.first)
        return Row(self.loop.state, len(wanted), *ended, len(stored) - ended[0], len(wanted - stored))


async def held(kafka: KafkaSettings, folder: Path) -> list[Held]:
    loops = [Held(Loop(kafka, await fresh_topic(kafka), state, folder / state), []) for state in STATES]
    await asyncio.gather(*(one.publish(FIRST) for one in loops))
    return loops


@asynccontextmanager
async def healthy(loops: Iterable[Held]) -> AsyncIterator[None]:
    """Run the next consumer of each topic, which nothing holds up."""
    async with running(*(one.loop._consumer(one.loop.keep) for one in loops)):
        yield


def show(ending: str, rows: Iterable[Row]) -> None:
    sys.stdout.write("\n".join(["", ending, HEAD, *map(str, rows), ""]))


async def test_a_consumer_that_is_stopped_in_any_state_loses_nothing(
    kafka: KafkaSettings, tmp_path: Path
) -> None:
    loops = await held(kafka, tmp_path)

    async def stop(one: Held) -> tuple[int, int, int]:
        await one.loop.reach()
        await one.publish(SECOND)
        if one.loop.state != "rebalancing":
            await one.loop.until_another_poll_waits()
        calls = one.loop.calls
        one.loop.release()
        await one.loop.consumer.stop()
        assert one.loop.state == "rebalancing" or one.loop.calls == calls, "no call begins after the end"
        await one.loop.joining.stop()
        return await one.at_the_end()

    ended = await asyncio.gather(*map(stop, loops))
    async with healthy(loops):
        rows = [await one.row(counts) for one, counts in zip(loops, ended, strict=True)]
    show("stopped", rows)

    assert {(row.state, row.committed_unstored, row.lost) for row in rows} == {
        (state, 0, 0) for state in STATES
    }
    assert {row.acknowledged for row in rows} == {FIRST + SECOND}


async def test_a_consumer_that_halts_in_any_state_loses_nothing_and_comes_back(
    kafka: KafkaSettings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("shared.kafka.halting.FIRST_REST_SECONDS", 0.5)
    loops = await held(kafka, tmp_path)

    async def halt(one: Held) -> tuple[int, int, int]:
        await one.loop.reach()
        await one.publish(SECOND)
        one.loop.release()
        one.loop.subscription._halt("a test")
        await eventually(lambda: one.loop.subscription.session.consumer is None)
        return await one.at_the_end()

    try:
        ended = await asyncio.gather(*map(halt, loops))
        rows = [await one.row(counts) for one, counts in zip(loops, ended, strict=True)]
        await eventually(lambda: not any(one.loop.consumer.ready() for one in loops), "none is halted")
    finally:
        parts = [part for one in loops for part in (one.loop.consumer, one.loop.joining)]
        await asyncio.gather(*(part.stop() for part in parts))
    show("halted", rows)

    assert {(row.state, row.lost) for row in rows} == {(state, 0) for state in STATES}
    assert {row.committed_unstored for row in rows} == {0}


async def test_a_consumer_that_is_killed_in_any_state_loses_nothing(
    kafka: KafkaSettings, tmp_path: Path
) -> None:
    loops = await held(kafka, tmp_path)
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "tests.support.loops",
        str(tmp_path),
        *(f"{one.loop.state}={one.loop.topic.name}" for one in loops),
        cwd=ROOT,
        env={**os.environ, **kafka_environment(kafka)},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
    )
    assert process.stdout is not None
    try:
        await until_line(process.stdout, b"reached\n")
        await asyncio.gather(*(one.publish(SECOND) for one in loops))
        await until_line(process.stdout, b"waiting\n")
    finally:
        process.kill()
        await process.wait()

    ended = await asyncio.gather(*(one.at_the_end() for one in loops))
    async with healthy(loops):
        rows = [await one.row(counts) for one, counts in zip(loops, ended, strict=True)]
    show("killed", rows)

    assert {(row.state, row.committed_unstored, row.lost) for row in rows} == {
        (state, 0, 0) for state in STATES
    }


async def until_line(stream: asyncio.StreamReader, wanted: bytes) -> None:
    async with asyncio.timeout(PATIENCE):
        while (line := await stream.readline()) != wanted:
            assert line, f"it ended before {wanted!r}"
