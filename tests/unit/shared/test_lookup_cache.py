"""How long a lookup cache keeps values and unknown keys, and what it does while the source fails."""

import asyncio

import pytest

from shared import lookup_cache
from shared.errors import ApiError
from shared.lookup_cache import LookupCache


class Source:
    """A source that counts its queries, and a clock that is set by hand."""

    def __init__(self) -> None:
        self.now = 0.0
        self.values = {"a": 1}
        self.queries = 0
        self.is_down = False
        self.cache = LookupCache(self.look_up, clock=lambda: self.now)

    async def look_up(self, key: str) -> int | None:
        self.queries += 1
        await asyncio.sleep(0)
        if self.is_down:
            raise ConnectionRefusedError
        return self.values.get(key)


@pytest.fixture
def source() -> Source:
    return Source()


async def test_concurrent_requests_for_a_key_share_one_query(source: Source) -> None:
    assert await asyncio.gather(*(source.cache.get("a") for _ in range(50))) == [1] * 50
    assert source.queries == 1


async def test_a_cancelled_request_does_not_cancel_the_query_of_the_others(source: Source) -> None:
    impatient = asyncio.create_task(source.cache.get("a"))
    patient = asyncio.create_task(source.cache.get("a"))
    await asyncio.sleep(0)
    impatient.cancel()

    assert await patient == 1


async def test_a_value_is_fresh_for_a_minute(source: Source) -> None:
    await source.cache.get("a")
    source.values["a"] = 2
    source.now = 59
    assert source.cache.fresh("a") == await source.cache.get("a") == 1
    source.now = 61
    assert source.cache.fresh("a") is None
    assert await source.cache.get("a") == 2


async def test_an_unknown_key_is_looked_up_again_after_five_seconds(source: Source) -> None:
    assert await source.cache.get("b") is None
    source.values["b"] = 3
    assert await source.cache.get("b") is None
    source.now = 6
    assert await source.cache.get("b") == 3


async def test_an_evicted_key_is_looked_up_again(source: Source) -> None:
    await source.cache.get("a")
    await source.cache.get("b")
    source.values = {"b": 3}

    source.cache.forget("a")
    source.cache.forget("b")

    assert (await source.cache.get("a"), await source.cache.get("b")) == (None, 3)


async def test_while_the_source_is_down_values_are_kept_and_looked_up_every_five_seconds(
    source: Source,
) -> None:
    await source.cache.get("a")
    source.is_down, source.now = True, 100
    queries = source.queries

    for _ in range(10):
        assert await source.cache.get("a") == 1
    assert source.queries == queries + 1
    source.now = 106
    assert await source.cache.get("a") == 1
    assert source.queries == queries + 2
    with pytest.raises(ApiError) as refused:
        await source.cache.get("never seen")
    assert refused.value.status == 503


async def test_a_source_that_does_not_answer_counts_as_down(
    source: Source, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lookup_cache, "LOOK_UP_SECONDS", 0.01)

    async def hang(_: str) -> int | None:
        await asyncio.sleep(10)
        return None

    stuck = LookupCache(hang)
    with pytest.raises(ApiError):
        await stuck.get("a")


async def test_unknown_keys_do_not_fill_the_memory(source: Source, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lookup_cache, "MAX_UNKNOWN", 10)
    for number in range(100):
        await source.cache.get(f"guess {number}")

    assert len(source.cache._unknown) == 10


async def test_after_a_failure_keys_without_a_value_are_refused_without_a_query(
    source: Source,
) -> None:
    source.is_down = True
    with pytest.raises(ApiError):
        await source.cache.get("x")
    for number in range(100):
        with pytest.raises(ApiError) as refused:
            await source.cache.get(f"never seen {number}")
        assert refused.value.status == 503
    assert source.queries == 1
    source.is_down, source.now = False, lookup_cache.UNAVAILABLE_SECONDS
    assert await source.cache.get("a") == 1


async def test_excess_unknown_keys_are_refused_while_cached_ones_are_refreshed(
    source: Source, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lookup_cache, "MAX_RUNNING", 4)
    await source.cache.get("a")
    source.now = 61
    flood = [asyncio.create_task(source.cache.get(f"guess {number}")) for number in range(10)]
    await asyncio.sleep(0)
    source.values["a"] = 2

    assert await source.cache.get("a") == 2
    answers = await asyncio.gather(*flood, return_exceptions=True)
    assert answers[:4] == [None] * 4
    assert all(isinstance(answer, ApiError) and answer.status == 503 for answer in answers[4:])
