"""A batch becomes a generation, whole or not at all."""

from __future__ import annotations

import pytest

from shared.errors import Permanent, Transient
from shared.events import BatchFailed
from tests.integration.loader.conftest import Loader
from tests.support.batches import COMPLETED_AT, Batch, batch_line

ITEMS = [f"item-{number}" for number in range(10)]


def a_batch(run: int, users: int = 20, *, tenant: str = "default") -> Batch:
    """Every list begins with the number of the run, so that a mixture would be seen."""
    items = [f"run-{run}", *ITEMS[:3]]
    return Batch.of(
        run,
        {
            "user-personalization": [(f"user-{number}", items) for number in range(users)],
            "similar-items": [(item, items) for item in ITEMS],
            "popularity": [("all", items), ("country:Germany", items)],
        },
        tenant=tenant,
    )


async def test_a_batch_is_served_from_postgres_and_redis(loader: Loader) -> None:
    await loader.load(a_batch(7))

    assert await loader.state(7) == ("loaded", None)
    assert await loader.active() == {"user-personalization": 7, "similar-items": 7, "popularity": 7}
    assert await loader.pointer() == {"activation": 1, "generations": await loader.active()}
    expected = [["run-7", 1.0], ["item-0", 0.5], ["item-1", 0.3333333], ["item-2", 0.25]]
    assert await loader.cached(7, "popularity", "country:Germany") == expected
    row = await loader.database.fetchrow(
        "SELECT items FROM lists_v1 WHERE tenant = 'default' AND generation = 7 "
        "AND recipe = 'user-personalization' AND id = 'user-3'"
    )
    assert row is not None
    assert row["items"] == expected
    assert await loader.announced() == [(1, await loader.active())]


async def test_the_same_word_twice_loads_once(loader: Loader) -> None:
    batch = a_batch(7)
    await loader.load(batch)
    await loader.load(batch)

    assert await loader.database.fetchval("SELECT count(*) FROM jobs") == 1
    assert await loader.announced() == [(1, await loader.active())]


async def test_a_run_that_comes_late_is_loaded_but_not_activated(loader: Loader) -> None:
    await loader.load(a_batch(6))
    await loader.load(a_batch(5))

    assert await loader.state(5) == ("loaded", None)
    assert set((await loader.active()).values()) == {6}
    assert len(await loader.announced()) == 1


async def test_tenants_have_their_own_generations(loader: Loader) -> None:
    await loader.load(a_batch(1))
    await loader.load(a_batch(2, tenant="other"))

    assert set((await loader.active()).values()) == {1}
    assert set((await loader.active("other")).values()) == {2}
    with pytest.raises(Permanent, match="run 2 belongs to tenant other"):
        await loader.receive(a_batch(2))


async def test_a_recipe_that_a_run_does_not_have_keeps_its_generation(loader: Loader) -> None:
    await loader.load(a_batch(1))
    await loader.load(Batch.of(2, {"popularity": [("all", ITEMS[:2]), ("city:Berlin", ITEMS[:2])]}))

    assert await loader.active() == {"user-personalization": 1, "similar-items": 1, "popularity": 2}


async def refused(loader: Loader, batch: Batch) -> str:
    """Load a batch after a good one; the reason why nothing has changed."""
    await loader.load(a_batch(1))
    await loader.load(batch)
    status, reason = await loader.state(batch.run)
    assert status == "refused"
    assert reason is not None
    assert set((await loader.active()).values()) == {1}
    assert (await loader.pointer() or {})["activation"] == 1
    assert await loader.cached(batch.run, "popularity", "all") is None
    await loader.cleanup.run()
    assert await loader.partitions() == ["lists_1"]
    return reason


async def test_a_truncated_file_is_refused(loader: Loader) -> None:
    batch = a_batch(2)
    await loader.receive(batch)
    key = batch.key("user-personalization")
    whole = loader.s3.get_object(Bucket=loader.bucket, Key=key)["Body"].read()
    loader.s3.put_object(Bucket=loader.bucket, Key=key, Body=whole[: len(whole) // 2])
    await loader.work()

    status, reason = await loader.state(2)
    assert status == "refused"
    assert f"{len(whole) // 2} bytes of {len(whole)}" in (reason or "")
    assert await loader.active() == {}


async def test_lines_that_the_manifest_does_not_count_are_refused(loader: Loader) -> None:
    batch = a_batch(2)
    batch.stated_rows["popularity"] = 3

    assert "have 2 lines, but the manifest says 3" in await refused(loader, batch)


async def test_a_manifest_of_another_run_is_refused(loader: Loader) -> None:
    batch = a_batch(2)
    batch.manifest_changes["run"] = 3

    assert "is that of run 3" in await refused(loader, batch)


async def test_half_of_the_lists_gone_is_refused(loader: Loader) -> None:
    assert "has 9 lists, fewer than 50% of the 20" in await refused(loader, a_batch(2, users=9))


async def test_two_lists_for_one_id_are_refused(loader: Loader) -> None:
    batch = Batch.of(2, {"popularity": [("all", ITEMS), ("all", ITEMS)]})

    assert "two lists for one id" in await refused(loader, batch)


async def test_items_unknown_to_the_catalogue_are_refused(loader: Loader) -> None:
    await loader.administrator.execute(
        "INSERT INTO sync.items (tenant, item_id) SELECT 'default', unnest($1::text[])",
        [*ITEMS, "run-1", "run-2"],
    )
    strange = Batch.of(2, {"popularity": [("all", [*ITEMS[:2], "x", "y"]), ("city:Bonn", ITEMS[:2])]})

    assert "2 of the 4 items recommended are not in the catalogue" in await refused(loader, strange)


async def test_a_list_is_loaded_without_the_items_that_the_catalogue_does_not_have(loader: Loader) -> None:
    await loader.administrator.execute(
        "INSERT INTO sync.items (tenant, item_id) SELECT 'default', unnest($1::text[])", ITEMS
    )
    await loader.load(Batch.of(2, {"popularity": [("all", ["invented", *ITEMS])]}))

    assert [item for item, _ in await loader.cached(2, "popularity", "all")] == list(ITEMS)


async def test_a_few_bad_lines_go_to_the_rejects_and_many_refuse_the_batch(loader: Loader) -> None:
    good = [batch_line("popularity", f"city:{number}", ITEMS[:2]) for number in range(199)]
    bad = batch_line("popularity", "city:x", [], error="no such list")
    await loader.load(Batch(1, {"popularity": [*good[:100], bad, *good[100:]]}))

    assert await loader.state(1) == ("loaded", None)
    (line,) = await loader.generations.rejected_lines(1)
    assert (line["line"], line["reason"]) == (101, "has the error 'no such list'")
    assert line["file"].endswith("popularity/input.jsonl.out")

    await loader.load(Batch(2, {"popularity": [*good[:197], bad, bad, bad]}))

    status, reason = await loader.state(2)
    assert status == "refused"
    assert "3 of 200 lines" in (reason or "")
    assert len(await loader.generations.rejected_lines(2)) == 3


async def test_a_manifest_that_is_not_there_yet_is_waited_for(loader: Loader) -> None:
    await loader.generations.receive(a_batch(1).completed(loader.bucket))
    job = await loader.claim()
    assert job is not None
    with pytest.raises(Transient, match="_manifest"):
        await loader.load_job.run(job)

    a_batch(1).put(loader.s3, loader.bucket)
    await loader.work()

    assert await loader.state(1) == ("loaded", None)


async def test_a_failed_run_is_listed_with_its_reason(loader: Loader) -> None:
    await loader.generations.receive_failure(
        BatchFailed(
            event_id="e",
            tenant="default",
            occurred_at=COMPLETED_AT,
            run=9,
            step="train",
            reason="no interactions",
        )
    )

    assert await loader.state(9) == ("failed", "the run failed at train: no interactions")


async def test_windows_line_ends_blank_lines_and_a_byte_order_mark_do_no_harm(loader: Loader) -> None:
    lines = [batch_line("popularity", "all", ITEMS[:2]), batch_line("popularity", "city:Bonn", ITEMS[:2])]
    batch = Batch(1, {"popularity": [b"\xef\xbb\xbf" + lines[0] + b"\r", b"\r", lines[1] + b"\r"]})
    batch.stated_rows["popularity"] = 2
    await loader.load(batch)

    assert await loader.state(1) == ("loaded", None)


async def test_operators_read_the_lists_with_sql(loader: Loader) -> None:
    await loader.load(a_batch(7))
    view = loader.administrator.fetchrow

    row = await view("SELECT * FROM public.offline_user_recommendations WHERE user_id = 'user-1'")
    assert row is not None
    assert row["recommendations"][:2] == [
        {"product_id": "run-7", "score": 1.0},
        {"product_id": "item-0", "score": 0.5},
    ]
    assert row["recipe_name"] == "aws-user-personalization"
    assert row["updated_at"] is not None
    similar = await view("SELECT * FROM offline_similar_items WHERE product_id = 'item-4'")
    assert similar is not None
    assert len(similar["similar_products"]) == 4
    assert await view("SELECT user_id, item_affinities FROM offline_item_affinity") is None
    job = await view("SELECT * FROM batch_job_metadata WHERE recipe_name = 'aws-similar-items'")
    assert job is not None
    assert (job["job_id"], job["status"]) == ("7/similar-items", "loaded")
    assert job["job_arn"].endswith("batch-inference-job/7")
