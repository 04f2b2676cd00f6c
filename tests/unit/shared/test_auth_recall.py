"""What is remembered of a look-up, and for how long."""

import asyncio

import pytest

from shared.auth import recall
from shared.auth.recall import Recall
from shared.errors import ApiError


class Source:
    """A look-up that counts how often it was asked, and a clock that is set by hand."""

    def __init__(self) -> None:
        self.now = 0.0
        self.values = {"a": 1}
        self.asked = 0
        self.away = False
        self.recall = Recall(self.look_up, clock=lambda: self.now)

    async def look_up(self, key: str) -> int | None:
        self.asked += 1
        await asyncio.sleep(0)
        if self.away:
            raise ConnectionRefusedError
        return self.values.get(key)


@pytest.fixture
def source() -> Source:
    return Source()


async def test_many_who_wait_for_one_key_ask_once(source: Source) -> None:
    assert await asyncio.gather(*(source.recall.get("a") for _ in range(50))) == [1] * 50
    assert source.asked == 1


async def test_one_who_gives_up_does_not_take_the_answer_from_the_others(source: Source) -> None:
    impatient = asyncio.create_task(source.recall.get("a"))
    patient = asyncio.create_task(source.recall.get("a"))
    await asyncio.sleep(0)
    impatient.cancel()

    assert await patient == 1


async def test_an_answer_is_fresh_for_a_minute(source: Source) -> None:
    await source.recall.get("a")
    source.values["a"] = 2
    source.now = 59
    assert source.recall.fresh("a") == await source.recall.get("a") == 1
    source.now = 61
    assert source.recall.fresh("a") is None
    assert await source.recall.get("a") == 2


async def test_what_is_not_there_is_asked_for_again_after_five_seconds(source: Source) -> None:
    assert await source.recall.get("b") is None
    source.values["b"] = 3
    assert await source.recall.get("b") is None
    source.now = 6
    assert await source.recall.get("b") == 3


async def test_a_key_is_forgotten_when_somebody_says_so(source: Source) -> None:
    await source.recall.get("a")
    await source.recall.get("b")
    source.values = {"b": 3}

    source.recall.forget("a")
    source.recall.forget("b")

    assert (await source.recall.get("a"), await source.recall.get("b")) == (None, 3)


async def test_while_the_source_is_away_what_was_seen_is_kept_and_asked_for_every_five_seconds(
    source: Source,
) -> None:
    await source.recall.get("a")
    source.away, source.now = True, 100
    asked = source.asked

    for _ in range(10):
        assert await source.recall.get("a") == 1
    assert source.asked == asked + 1
    source.now = 106
    assert await source.recall.get("a") == 1
    assert source.asked == asked + 2
    with pytest.raises(ApiError) as refused:
        await source.recall.get("never seen")
    assert refused.value.status == 503


async def test_a_source_that_does_not_answer_counts_as_away(
    source: Source, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recall, "LOOK_UP_SECONDS", 0.01)

    async def hang(_: str) -> int | None:
        await asyncio.sleep(10)
        return None

    stuck = Recall(hang)
    with pytest.raises(ApiError):
        await stuck.get("a")


async def test_guesses_do_not_fill_the_memory(source: Source, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recall, "MAX_UNKNOWN", 10)
    for number in range(100):
        await source.recall.get(f"guess {number}")

    assert len(source.recall._unknown) == 10


async def test_after_a_failure_keys_that_were_never_seen_are_refused_without_a_look_up(
    source: Source,
) -> None:
    source.away = True
    with pytest.raises(ApiError):
        await source.recall.get("x")
    for number in range(100):
        with pytest.raises(ApiError) as refused:
            await source.recall.get(f"never seen {number}")
        assert refused.value.status == 503
    assert source.asked == 1
    source.away, source.now = False, recall.AWAY_SECONDS
    assert await source.recall.get("a") == 1


async def test_a_flood_of_keys_waits_in_no_queue_but_known_ones_are_looked_up(
    source: Source, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recall, "MAX_RUNNING", 4)
    await source.recall.get("a")
    source.now = 61
    flood = [asyncio.create_task(source.recall.get(f"guess {number}")) for number in range(10)]
    await asyncio.sleep(0)
    source.values["a"] = 2

    assert await source.recall.get("a") == 2
    answers = await asyncio.gather(*flood, return_exceptions=True)
    assert answers[:4] == [None] * 4
    assert all(isinstance(answer, ApiError) and answer.status == 503 for answer in answers[4:])
