"""Overlays: lists of some ids that are read before those of their base."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from services.loader.api.generations import Operations
from services.loader.store.generations import STORED_WITHIN
from shared.errors import ApiError, Transient
from shared.events.batches import RunKind
from tests.integration.loader.conftest import Loader
from tests.support.batches import STARTED_AT, Batch
from tests.support.erasures import erasure

USER, SIMILAR = "user-personalization", "similar-items"
KNOWN_UNTIL = STARTED_AT - STORED_WITHIN


def full(run: int, users: int = 20) -> Batch:
    return Batch.of(
        run,
        {
            USER: [(f"user-{number}", [f"run-{run}"]) for number in range(users)],
            SIMILAR: [("item-1", [f"run-{run}"])],
        },
    )


def overlay(
    run: int, kind: RunKind, users: list[str], *, base: int = 1, items: tuple[str, ...] = ()
) -> Batch:
    lists = {
        USER: [(user, [f"run-{run}"]) for user in users],
        SIMILAR: [(item, [f"run-{run}"]) for item in items],
    }
    return Batch.of(
        run, {recipe: entries for recipe, entries in lists.items() if entries}, kind=kind, base=base
    )


async def overlays(loader: Loader) -> dict[str, int]:
    rows = await loader.database.fetch("SELECT * FROM active_v1 WHERE overlay IS NOT NULL")
    return {row["recipe"]: row["overlay"] for row in rows}


async def overlaid(loader: Loader, generation: int) -> dict[tuple[str, str], str]:
    """The first item of each list of a generation, the same in Postgres and in Redis."""
    rows = await loader.database.fetch(
        "SELECT recipe, id, items FROM lists WHERE generation = $1", generation
    )
    lists = {(row["recipe"], row["id"]): row["items"][0][0] for row in rows}
    for (recipe, identifier), first in lists.items():
        assert (await loader.cached(generation, recipe, identifier))[0][0] == first
    return lists


async def activate(loader: Loader, generation: int) -> Any:
    operations = Operations(loader.database, loader.generations, loader.activations, loader.caches)
    return await operations.activate("default", generation, force=False)


async def test_an_overlay_is_active_beside_its_base_until_the_next_full_run(loader: Loader) -> None:
    await loader.load(full(1))
    await loader.load(overlay(2, "vip", ["user-3"]))

    assert await loader.active() == {USER: 1, SIMILAR: 1}
    assert await overlays(loader) == {USER: 2}
    expected = {USER: {"generation": 2, "as_of": KNOWN_UNTIL.timestamp()}}
    assert await loader.pointer() == {
        "activation": 2,
        "generations": {USER: 1, SIMILAR: 1},
        "overlays": expected,
    }
    payload = await loader.database.fetchval("SELECT payload FROM outbox ORDER BY seq DESC LIMIT 1")
    assert (payload["generations"], payload["overlays"][USER]["generation"]) == ({USER: 1, SIMILAR: 1}, 2)
    shown = await loader.administrator.fetch(
        "SELECT user_id, recommendations -> 0 ->> 'product_id' AS first FROM offline_user_recommendations"
    )
    assert {row["user_id"]: row["first"] for row in shown} == {
        f"user-{number}": "run-2" if number == 3 else "run-1" for number in range(20)
    }

    # Redis lost everything: the follower writes both again.
    await loader.redis.flushdb()
    await loader.follower.run()
    assert (await loader.pointer() or {})["overlays"] == expected
    assert await overlaid(loader, 2) == {(USER, "user-3"): "run-2"}

    await loader.load(full(3))
    assert (await loader.active(), await overlays(loader)) == ({USER: 3, SIMILAR: 3}, {})
    assert (await loader.pointer() or {}).keys() == {"activation", "generations"}
    with pytest.raises(ApiError, match="overlay of generation 1, which is not served"):
        await activate(loader, 2)
    await loader.load(overlay(4, "vip", ["user-3"]))
    assert (await loader.state(4), await overlays(loader)) == (("loaded", None), {})


async def test_an_incremental_overlay_keeps_the_lists_of_the_one_before(loader: Loader) -> None:
    await loader.load(full(1))
    await loader.load(overlay(2, "vip", ["user-3", "user-4"]))
    await loader.load(overlay(3, "incremental", ["user-4", "new"], items=("item-9",)))

    assert await overlaid(loader, 3) == {
        (USER, "user-3"): "run-2",
        (USER, "user-4"): "run-3",
        (USER, "new"): "run-3",
        (SIMILAR, "item-9"): "run-3",
    }
    assert await overlays(loader) == {USER: 3, SIMILAR: 3}
    (generation, *_) = await loader.generations.list_newest("default")
    assert (generation["rows"], {each["recipe"]: each["rows"] for each in generation["recipes"]}) == (
        4,
        {USER: 3, SIMILAR: 1},
    )
    assert (generation["kind"], generation["base"], generation["active"]) == ("incremental", 1, True)

    await loader.load(overlay(4, "vip", ["user-4"]))
    assert await overlaid(loader, 4) == {(USER, "user-4"): "run-4"}
    assert await overlays(loader) == {USER: 4}


async def test_an_overlay_that_was_taken_away_is_not_carried_over(loader: Loader) -> None:
    await loader.load(full(1))
    await loader.load(overlay(2, "vip", ["user-3"]))
    assert (await activate(loader, 1)).overlays == {}
    assert await overlays(loader) == {}
    answer = await activate(loader, 2)
    assert (answer.activation, answer.overlays) == (4, {USER: 2})
    await activate(loader, 1)
    await loader.load(overlay(5, "incremental", ["new"]))
    assert await overlaid(loader, 5) == {(USER, "new"): "run-5"}


async def test_an_erased_user_is_in_no_later_overlay(loader: Loader) -> None:
    await loader.load(full(1))
    await loader.load(overlay(2, "vip", ["user-3", "user-4"]))
    await loader.receive(overlay(3, "incremental", ["new", "user-5"]))
    await loader.erasures.erase(erasure("user-3", occurred_at=datetime(2025, 1, 1, tzinfo=UTC)))
    await loader.erasures.erase(erasure("user-5"))
    await loader.work()

    assert set(await overlaid(loader, 3)) == {(USER, "user-4"), (USER, "new")}
    (generation, *_) = await loader.generations.list_newest("default")
    assert generation["rows"] == 2
    assert await loader.redis.keys("*:user-3") == []
    assert await loader.caches.is_filled("default", [1, 3])


async def test_an_overlay_waits_for_older_loads_and_comes_with_its_base(loader: Loader) -> None:
    await loader.load(full(1))
    await loader.receive(full(2))
    await loader.receive(overlay(3, "vip", ["user-3"], base=2))
    base, later = await loader.claim(), await loader.claim()
    assert base is not None
    assert later is not None
    if later.payload["generation"] == 3:
        with pytest.raises(Transient, match="older generation"):
            await loader.load_job.run(later)
    await loader.load_job.run(base)
    await loader.finish(base)
    await loader.work()
    assert await overlays(loader) == {USER: 3}


async def test_old_overlays_go_before_the_generations_for_a_rollback(loader: Loader) -> None:
    for run in (1, 2, 3):
        await loader.load(full(run))
    for run in range(4, 9):
        await loader.load(overlay(run, "vip", ["user-3"], base=3))
    await loader.cleanup.run()
    assert await loader.partitions() == [f"lists_{run}" for run in (1, 2, 3, 6, 7, 8)]
    for run in (9, 10, 11):
        await loader.load(full(run))
    await loader.cleanup.run()
    await loader.cleanup.run()
    assert await loader.partitions() == [f"lists_{run}" for run in (10, 11, 9)]
