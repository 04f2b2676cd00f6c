"""Calls are released at once after a pause and in groups during a burst; each ends with its own batches."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest

from shared.kafka.records import Record
from shared.kafka.send_groups import SendGroups, Sent
from tests.support.waiting import eventually

GAP = 0.05
LONG = 30.0


class Batches:
    """Appends each record to the batch of its key; a record without a key can't be appended."""

    def __init__(self) -> None:
        self.by_key: dict[bytes, Sent] = {}
        self.order: list[bytes] = []
        self.times: list[float] = []

    def enqueue(self, _: str, records: Sequence[Record]) -> list[Sent]:
        loop, sent = asyncio.get_running_loop(), []
        self.times.append(loop.time())
        for record in records:
            if record.key is None:
                break
            self.order.append(record.value or b"")
            sent.append(self.by_key.setdefault(record.key, loop.create_future()))
        return sent


def record(key: str | None, value: str = "") -> Record:
    return Record(None if key is None else key.encode(), value.encode())


class Calls:
    """Calls of one client, whose batches a test ends."""

    def __init__(self) -> None:
        self.batches = Batches()
        self.groups = SendGroups(self.batches.enqueue, GAP)

    def start(self, *records: Record, within: float = LONG) -> asyncio.Task[int]:
        deadline = asyncio.get_running_loop().time() + within
        return asyncio.create_task(self.groups.send("topic", records, [], deadline))

    async def released(self, count: int) -> None:
        """Return when so many calls were released."""

        async def calls() -> int:
            return len(self.batches.times)

        await eventually(calls, enough=lambda found: found >= count, every=0.001)

    def confirm(self, *keys: str) -> None:
        for key in keys:
            self.batches.by_key[key.encode()].set_result(None)


async def test_the_first_call_after_a_pause_does_not_wait_and_a_burst_is_released_together() -> None:
    calls = Calls()
    first = calls.start(record("a"))
    await calls.released(1)
    burst = [calls.start(record("b", str(number))) for number in range(20)]
    await calls.released(21)
    calls.confirm("a", "b")

    assert await asyncio.gather(first, *burst) == [1] * 21
    assert calls.batches.order[1:] == [str(number).encode() for number in range(20)]
    times = calls.batches.times
    assert times[1] >= times[0] + GAP - 0.002  # the loop's clock is that coarse
    assert times[-1] - times[1] < GAP


async def test_a_call_ends_with_the_last_of_its_own_batches() -> None:
    calls = Calls()
    one, two = calls.start(record("a")), calls.start(record("a"), record("b"))
    await calls.released(2)
    calls.confirm("a")

    assert await one == 1
    assert not two.done()
    calls.confirm("b")
    assert await two == 2


async def test_the_error_of_a_batch_ends_its_calls_alone_each_with_its_own_copy() -> None:
    calls = Calls()
    tasks = [calls.start(record("a")), calls.start(record("b"), record("a")), calls.start(record("b"))]
    await calls.released(3)
    error = ValueError("refused")
    calls.batches.by_key[b"a"].set_exception(error)
    calls.confirm("b")
    ended = await asyncio.gather(*tasks, return_exceptions=True)

    assert [type(each) for each in ended] == [ValueError, ValueError, int]
    assert len({id(each) for each in (*ended[:2], error)}) == 3


async def test_a_cancelled_call_does_not_cancel_the_others_or_their_batch() -> None:
    calls = Calls()
    tasks = [calls.start(record("a")) for _ in range(3)]
    await asyncio.sleep(0)
    tasks[0].cancel()
    await calls.released(2)
    tasks[1].cancel()
    await asyncio.sleep(0)
    calls.confirm("a")

    assert await tasks[2] == 1
    assert [task.cancelled() for task in tasks] == [True, True, False]


async def test_each_call_has_its_own_deadline() -> None:
    calls = Calls()
    short, long = calls.start(record("a"), within=GAP), calls.start(record("a"))
    with pytest.raises(TimeoutError):
        await short
    assert not long.done()
    calls.confirm("a")

    assert await long == 1


async def test_what_can_not_be_enqueued_is_left_to_the_caller() -> None:
    calls = Calls()
    none, some = calls.start(record(None), record("a")), calls.start(record("b"), record(None))
    await calls.released(2)
    calls.confirm("b")

    assert await asyncio.gather(none, some) == [0, 1]
    assert list(calls.batches.by_key) == [b"b"]


async def test_a_defect_while_enqueuing_ends_its_call_alone() -> None:
    def broken(_: str, __: Sequence[Record]) -> list[Sent]:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await SendGroups(broken).send("topic", [record("a")], [], asyncio.get_running_loop().time() + LONG)
