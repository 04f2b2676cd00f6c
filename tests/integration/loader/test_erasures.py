"""A user is erased: no list of theirs is left, and no earlier run brings one back."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from services.loader.store import Erasures
from shared.errors import Transient
from tests.integration.loader.conftest import Loader, away_redis
from tests.integration.loader.test_load_job import a_batch
from tests.support.erasures import erasure

RECIPE = "user-personalization"
LATER = datetime(2100, 1, 1, tzinfo=UTC)


async def lists_of(loader: Loader, user: str) -> tuple[int, list[str]]:
    """How many lists of a user are in Postgres, and the keys of those in Redis."""
    rows = await loader.database.fetchval("SELECT count(*) FROM lists WHERE id = $1", user)
    return rows, [key.decode() for key in await loader.redis.keys(f"*:{user}")]


async def receipts(loader: Loader) -> list[dict[str, Any]]:
    rows = await loader.database.fetch(
        "SELECT payload FROM outbox WHERE aggregatetype = 'erasure-receipts-v1' ORDER BY seq"
    )
    return [row["payload"]["rows"] for row in rows]


async def counted(loader: Loader, generation: int) -> tuple[int, int]:
    row = await loader.database.fetchrow(
        "SELECT g.rows AS of_all, r.rows AS of_recipe FROM generations g "
        "JOIN generation_recipes r USING (generation) WHERE generation = $1 AND recipe = $2",
        generation,
        RECIPE,
    )
    assert row is not None
    return row["of_all"], row["of_recipe"]


async def test_a_user_is_removed_from_every_generation_and_the_others_stay(loader: Loader) -> None:
    for run in (7, 8):
        await loader.load(a_batch(run))
    assert len((await lists_of(loader, "user-3"))[1]) == 2

    await loader.erasures.erase(erasure("user-3"))

    assert await lists_of(loader, "user-3") == (0, [])
    assert (await lists_of(loader, "user-4"))[0] == 2
    assert await receipts(loader) == [{"lists": 2, "rejects": 0}]
    assert await counted(loader, 8) == (31, 19)
    # Redis counts as whole, so that nobody fills it anew.
    assert await loader.caches.is_filled("default", [7, 8])
    assert await loader.caches.fill("default", 8, 31)


async def test_an_item_with_the_same_id_keeps_its_list(loader: Loader) -> None:
    await loader.load(a_batch(7))

    await loader.erasures.erase(erasure("item-3"))

    assert (await lists_of(loader, "item-3"))[0] == 1
    assert await receipts(loader) == [{"lists": 0, "rejects": 0}]


async def test_a_repetition_says_the_same_again(loader: Loader) -> None:
    await loader.load(a_batch(7))
    request = erasure("user-3")

    for _ in range(2):
        await loader.erasures.erase(request)

    assert await receipts(loader) == [{"lists": 1, "rejects": 0}] * 2


async def test_without_redis_there_is_no_receipt_until_it_is_back(loader: Loader) -> None:
    await loader.load(a_batch(7))
    away = away_redis()
    request = erasure("user-3")

    with pytest.raises(Transient):
        await Erasures(away, loader.database).erase(request)
    assert await receipts(loader) == []
    await loader.erasures.erase(request)

    assert await lists_of(loader, "user-3") == (0, [])
    assert await receipts(loader) == [{"lists": 1, "rejects": 0}]
    await away.aclose()


async def test_a_run_that_began_before_brings_nothing_back_and_a_later_one_does(loader: Loader) -> None:
    await loader.erasures.erase(erasure("user-3", occurred_at=LATER))
    await loader.load(a_batch(7))
    assert await lists_of(loader, "user-3") == (0, [])
    assert await counted(loader, 7) == (31, 19)

    await loader.erasures.end("default", "user-3")
    await loader.erasures.erase(erasure("user-3", occurred_at=datetime.now(UTC) - timedelta(days=9_000)))
    await loader.load(a_batch(8))

    assert (await lists_of(loader, "user-3"))[0] == 1
