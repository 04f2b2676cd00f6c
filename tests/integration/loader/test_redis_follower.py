"""Redis follows Postgres; old generations go; a person can go back."""

from __future__ import annotations

import asyncio

import pytest

from services.loader.api.generations import Operations
from services.loader.store import Caches, GenerationCleanup
from services.loader.store.caches import filled_key
from shared.errors import ApiError, Transient
from shared.postgres import UNAVAILABLE
from tests.integration.loader.conftest import Loader, away_redis
from tests.support.batches import Batch
from tests.support.waiting import eventually

ITEMS = [f"item-{number}" for number in range(5)]


def a_batch(run: int, lists: int = 20) -> Batch:
    return Batch.of(
        run,
        {
            "user-personalization": [(f"user-{number}", [f"run-{run}", *ITEMS]) for number in range(lists)],
            "popularity": [("all", [f"run-{run}", *ITEMS])],
        },
    )


def operations(loader: Loader) -> Operations:
    return Operations(loader.database, loader.generations, loader.activations, loader.caches)


async def test_going_back_is_a_new_activation_of_an_old_generation(loader: Loader) -> None:
    await loader.load(a_batch(1))
    await loader.load(a_batch(2))

    answer = await operations(loader).activate("default", 1, force=False)

    assert (answer.status, answer.activation) == ("active", 3)
    assert await loader.active() == {"user-personalization": 1, "popularity": 1}
    assert await loader.pointer() == {"activation": 3, "generations": await loader.active()}
    assert [number for number, _ in await loader.announced()] == [1, 2, 3]
    again = await operations(loader).activate("default", 1, force=False)
    assert again.activation == 3


async def test_a_newer_run_is_activated_after_a_rollback_but_an_older_one_is_not(loader: Loader) -> None:
    await loader.load(a_batch(1))
    await loader.load(a_batch(3))
    await operations(loader).activate("default", 1, force=False)
    await loader.load(a_batch(2))
    assert set((await loader.active()).values()) == {1}

    await loader.load(a_batch(4))

    assert set((await loader.active()).values()) == {4}


async def test_a_load_that_is_begun_again_does_not_undo_a_rollback(loader: Loader) -> None:
    await loader.load(a_batch(1))
    await loader.receive(a_batch(2))
    job = await loader.claim()
    assert job is not None
    await loader.load_job.run(job)
    await operations(loader).activate("default", 1, force=False)

    await loader.load_job.run(job)  # its worker died before it could say that it was done

    assert set((await loader.active()).values()) == {1}


async def test_a_refused_generation_is_served_when_a_person_insists(loader: Loader) -> None:
    await loader.load(a_batch(1, lists=20))
    await loader.load(a_batch(2, lists=5))
    with pytest.raises(ApiError, match="was refused: user-personalization has 5 lists"):
        await operations(loader).activate("default", 2, force=False)

    answer = await operations(loader).activate("default", 2, force=True)
    await loader.work()

    assert answer.status == "loading"
    assert await loader.state(2) == ("loaded", None)
    assert set((await loader.active()).values()) == {2}
    assert (await loader.pointer() or {})["activation"] == 2


@pytest.mark.parametrize(("generation", "status"), [(99, 404), (2, 404)])
async def test_another_tenants_generation_does_not_exist(
    loader: Loader, generation: int, status: int
) -> None:
    await loader.load(a_batch(1))
    other = a_batch(2)
    other.tenant = "other"
    await loader.load(other)

    with pytest.raises(ApiError) as refused:
        await operations(loader).activate("default", generation, force=False)

    assert refused.value.status == status


async def test_redis_that_lost_everything_is_filled_again(loader: Loader) -> None:
    await loader.load(a_batch(1))
    await loader.redis.flushdb()

    await loader.follower.run()

    assert await loader.pointer() == {"activation": 1, "generations": await loader.active()}
    assert (await loader.cached(1, "user-personalization", "user-7"))[0] == ["run-1", 1.0]


async def test_redis_follows_an_activation_that_it_does_not_know(loader: Loader) -> None:
    await loader.load(a_batch(1))
    old = await loader.pointer()
    await loader.receive(a_batch(2))
    away = Caches(away_redis(), loader.database)
    loader.load_job = type(loader.load_job)(
        loader.database,
        loader.generations,
        loader.activations,
        away,
        loader.erasures,
        loader.load_job.files,
        loader.load_job.limits,
    )
    await loader.work()
    assert set((await loader.active()).values()) == {2}
    assert await loader.pointer() == old

    await loader.follower.run()

    assert await loader.pointer() == {"activation": 2, "generations": await loader.active()}
    assert (await loader.cached(2, "popularity", "all"))[0] == ["run-2", 1.0]


async def test_the_pointer_never_goes_back(loader: Loader) -> None:
    await loader.load(a_batch(1))
    (old,) = await loader.activations.redis_states()
    await loader.load(a_batch(2))

    assert await loader.caches.set_pointer(old.active) is False
    assert set((await loader.pointer() or {})["generations"].values()) == {2}


async def test_a_rollback_fills_redis_when_its_lists_are_gone(loader: Loader) -> None:
    await loader.load(a_batch(1))
    await loader.load(a_batch(2))
    await loader.redis.flushdb()
    await loader.follower.run()
    assert await loader.redis.get(filled_key("default", 1)) is None

    await operations(loader).activate("default", 1, force=False)
    assert set((await loader.pointer() or {})["generations"].values()) == {2}
    await loader.follower.run()

    assert await loader.pointer() == {"activation": 3, "generations": await loader.active()}
    assert (await loader.cached(1, "popularity", "all"))[0] == ["run-1", 1.0]


async def test_the_last_two_beside_the_active_one_are_kept(loader: Loader) -> None:
    for run in range(1, 6):
        await loader.load(a_batch(run))
    await operations(loader).activate("default", 4, force=False)

    await loader.cleanup.run()

    assert await loader.partitions() == ["lists_3", "lists_4", "lists_5"]
    assert await loader.state(1) == ("dropped", None)
    keys = {key.decode() async for key in loader.redis.scan_iter("endcap:*")}
    assert {key.split(":")[3] for key in keys if key.startswith("endcap:rec:")} == {"3", "4", "5"}
    assert filled_key("default", 1) not in keys
    with pytest.raises(ApiError, match="was dropped to make room"):
        await operations(loader).activate("default", 1, force=False)


async def test_cleaning_goes_on_where_it_was_cut_off(loader: Loader) -> None:
    for run in range(1, 5):
        await loader.load(a_batch(run))
    away = Caches(away_redis(), loader.database)
    with pytest.raises(Transient, match="did not delete generation 1"):
        await GenerationCleanup(loader.database, away, keep=2).run()
    assert await loader.state(1) == ("dropping", None)

    await loader.cleanup.run()

    assert await loader.state(1) == ("dropped", None)
    assert await loader.partitions() == ["lists_2", "lists_3", "lists_4"]
    assert await loader.cached(1, "popularity", "all") is None


async def test_tables_of_attempts_that_died_are_dropped(loader: Loader) -> None:
    await loader.load(a_batch(1))
    generation = await loader.generations.start_load(1)
    assert generation is not None
    await loader.generations.make_staging(generation, 1001)
    await loader.cleanup.run()

    assert await loader.partitions() == ["lists_1"]


async def test_the_table_of_a_load_that_is_going_on_is_left_alone(loader: Loader) -> None:
    await loader.receive(a_batch(1))
    job = await loader.claim()
    assert job is not None
    generation = await loader.generations.start_load(1)
    assert generation is not None
    staging = await loader.generations.make_staging(generation, 1001)
    await loader.cleanup.run()

    assert await loader.partitions() == [staging]


async def test_readers_never_see_a_mixture(loader: Loader) -> None:
    """Readers of Postgres and of Redis, as the recommender reads, while generations come and go."""
    await loader.load(a_batch(1, lists=300))
    reads, mixtures, missing = 0, [], []
    stop = asyncio.Event()

    async def read_redis(user: str) -> None:
        nonlocal reads
        while not stop.is_set():
            pointer = await loader.pointer()
            assert pointer is not None
            generations = pointer["generations"]
            seen = set()
            for recipe, identifier in [("user-personalization", user), ("popularity", "all")]:
                found = await loader.cached(generations[recipe], recipe, identifier)
                seen.add(found[0][0] if found else "missing")
            reads += 1
            if "missing" in seen:
                missing.append(pointer)
            elif len(seen) != 1:
                mixtures.append(seen)

    async def read_postgres(user: str) -> None:
        nonlocal reads
        while not stop.is_set():
            rows = await loader.database.fetch(
                "SELECT l.items FROM active_v1 a JOIN lists_v1 l USING (tenant, generation, recipe) "
                "WHERE a.tenant = 'default' AND l.id IN ($1, 'all')",
                user,
            )
            reads += 1
            if len(rows) != 2 or len({row["items"][0][0] for row in rows}) != 1:
                mixtures.append({str(row["items"]) for row in rows})

    readers = [asyncio.create_task(read_redis(f"user-{number}")) for number in range(3)]
    readers += [asyncio.create_task(read_postgres(f"user-{number}")) for number in range(3)]
    for run in range(2, 8):
        await loader.load(a_batch(run, lists=300))
        await loader.cleanup.run()
    await operations(loader).activate("default", 6, force=False)
    stop.set()
    await asyncio.gather(*readers)

    assert reads > 100
    assert mixtures == []
    assert missing == []


async def test_a_detachment_that_was_cut_off_is_finished_and_stops_no_load(loader: Loader) -> None:
    for run in range(1, 5):
        await loader.load(a_batch(run))
    pending = "SELECT count(*) FROM pg_inherits WHERE inhdetachpending"

    async def detaching() -> bool:
        return await loader.database.fetchval(pending) == 1

    # A reader that takes its time keeps the detachment waiting; then whoever detaches dies.
    async with loader.administrator.transaction() as reader:
        await reader.fetch("SELECT items FROM lists_v1 WHERE generation = 1")
        cleaning = asyncio.create_task(loader.cleanup.run())
        await eventually(detaching)
        await loader.administrator.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE 'ALTER TABLE loader.%'"
        )
        with pytest.raises(UNAVAILABLE):
            await cleaning
        await loader.load(a_batch(5))
        assert set((await loader.active()).values()) == {5}

    await loader.cleanup.run()

    assert await loader.database.fetchval(pending) == 0
    assert await loader.partitions() == ["lists_3", "lists_4", "lists_5"]
    assert [await loader.state(run) for run in (1, 2)] == [("dropped", None)] * 2
