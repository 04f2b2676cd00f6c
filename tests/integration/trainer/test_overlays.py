"""Runs that compute some lists: of which kind they are, for whom, and from which interactions."""

from __future__ import annotations

import asyncio
import csv
import io
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson
import pytest_asyncio

from services.trainer.domain.run_options import RunOptions
from services.trainer.store import OverlayScope
from tests.integration.trainer.conftest import NOON, Trainer

BASE = 1
SINCE = datetime(2026, 1, 2, tzinfo=UTC)
POPULAR = [["mug", 9.0], ["cup", 5.0], ["pot", 2.0]]


@pytest_asyncio.fixture
async def served(trainer: Trainer) -> None:
    """A full run, whose generation is served: lists of u1 to u4 and of the items mug, cup and pot."""
    await trainer.dataset_groups("default")
    run = (await trainer.runs.request("default", "first")).run
    assert run == BASE
    await trainer.runs.start(run)
    for step in ("snapshot", "import", "train"):
        await trainer.runs.start_step(run, step)
        models = {"user-personalization": {"version": "arn:v1"}}
        await trainer.runs.report_step(run, step, 1.0, {"models": models} if step == "train" else {})
        await trainer.runs.end_step(run, step, "done")
    execute = trainer.administrator.execute
    await execute("UPDATE trainer.steps SET started_at = $1", SINCE)
    await execute("UPDATE trainer.runs SET status = 'completed', finished_at = $1", SINCE)
    await execute(
        "INSERT INTO loader.generations (generation, tenant, status) VALUES ($1, 'default', 'loaded')", BASE
    )
    await execute("CREATE TABLE loader.lists_1 PARTITION OF loader.lists FOR VALUES IN (1)")
    lists: list[tuple[str, str, Any]] = [
        *(("user-personalization", f"u{number}", [["mug", 1.0]]) for number in range(1, 5)),
        *(("similar-items", item, [["mug", 1.0]]) for item, _ in POPULAR),
        ("popularity", "category:kitchen", POPULAR),
    ]
    for recipe, identifier, items in lists:
        await execute("INSERT INTO loader.lists VALUES ('default', 1, $1, $2, $3)", recipe, identifier, items)
    for recipe in ("user-personalization", "similar-items", "popularity"):
        await execute(
            "INSERT INTO loader.active (tenant, recipe, generation, activation) VALUES ('default', $1, 1, 1)",
            recipe,
        )


def scope(**more: Any) -> OverlayScope:
    fields = {"base": BASE, "vip_share": 0.0, "window_days": 365, "last_import": SINCE, "length": 3}
    return OverlayScope(**fields | more)


def users(trainer: Trainer) -> set[str]:
    return {orjson.loads(line)["userId"] for line in trainer.text("run/user-ids.jsonl").splitlines()}


async def bought(trainer: Trainer, user: str | None, item: str, spent: float, **more: Any) -> None:
    await trainer.happened(user, item, **{"price": spent / 2, "quantity": 2, "stored_at": NOON} | more)


async def test_without_a_full_generation_that_is_served_every_run_is_a_full_one(trainer: Trainer) -> None:
    first = await trainer.runs.request("default", "soon", options=RunOptions(kind="vip"))
    assert (await trainer.runs.start(first.run)).kind == "full"


async def test_a_run_that_others_join_does_what_most_needs(trainer: Trainer, served: None) -> None:
    small = RunOptions(kind="incremental", max_minutes=5)
    await trainer.runs.request("default", "new customers", options=small)
    await trainer.runs.request("default", "best customers", options=RunOptions(kind="vip", vip_share=0.2))
    joined = await trainer.runs.request("default", "more", options=RunOptions(kind="incremental"))
    (listed, _) = await trainer.runs.list_newest("default")
    assert (listed["kind"], listed["options"]) == ("vip", {"max_minutes": 5, "vip_share": 0.2})

    await trainer.runs.request("default", "an import", import_id="i")
    run = await trainer.runs.start(joined.run)
    assert (run.kind, run.imports) == ("full", ("i",))


async def test_the_customers_of_the_highest_value_and_new_ones_get_lists(
    trainer: Trainer, served: None
) -> None:
    long_ago = NOON - timedelta(days=400)
    for user, spent in (("u1", 10), ("u2", 40), ("u3", 20), ("u4", 5), ("new", 1)):
        await bought(trainer, user, "mug", spent)
    await bought(trainer, "u4", "mug", 1000, occurred_at=long_ago)
    await bought(trainer, None, "mug", 5000, session_id="order:1")
    await bought(trainer, "order:7", "mug", 5000)
    await trainer.happened("viewer", "mug", event_type="view")

    _, counts = await trainer.snapshots.take_overlay("default", "run/", scope(vip_share=0.4))
    assert users(trainer) == {"u2", "u3", "new", "viewer"}
    assert (counts.vip_users, counts.new_users) == (2, 2)

    _, counts = await trainer.snapshots.take_overlay("default", "run/", scope(vip_share=0.2, window_days=800))
    assert (users(trainer), counts.vip_users) == ({"u4", "new", "viewer"}, 1)
    _, counts = await trainer.snapshots.take_overlay("default", "run/", scope())
    assert (users(trainer), counts.vip_users, counts.new_users) == ({"new", "viewer"}, 0, 2)


async def test_only_interactions_since_the_last_import_are_written(trainer: Trainer, served: None) -> None:
    await bought(trainer, "u1", "old", 1, stored_at=SINCE - timedelta(hours=1))
    await bought(trainer, "u1", "late", 1, stored_at=SINCE - timedelta(seconds=30))
    await bought(trainer, "u1", "new", 1, stored_at=SINCE + timedelta(hours=1))
    files, _ = await trainer.snapshots.take_overlay("default", "run/", scope())
    rows = csv.DictReader(io.StringIO(trainer.text("run/interactions.csv")))
    assert ({row["ITEM_ID"] for row in rows}, files["interactions"].rows) == ({"late", "new"}, 2)

    following = await trainer.runs.request("default", "next", options=RunOptions(kind="incremental"))
    run = await trainer.runs.start(following.run)
    assert await trainer.runs.base("default") == (BASE, {"user-personalization": {"version": "arn:v1"}})
    assert await trainer.runs.last_import(run, BASE) == SINCE


async def test_new_items_get_what_their_visitors_touched_then_what_their_category_sells(
    trainer: Trainer, served: None
) -> None:
    for item, price in (("mug", 10.0), ("cup", 40.0), ("pot", 8.0)):
        await trainer.item(item, category="kitchen", price=price, available=item != "pot")
    await trainer.item("jug", category="garden|kitchen", price=20.0, available=True)
    await trainer.item("alone", category="cellar", available=True)
    await trainer.item("lamp", category="light", price=1.0, available=True)
    for number in range(10):
        await trainer.happened(f"v{number}", "jug", event_type="view")
        await trainer.happened(f"v{number}", "lamp" if number < 5 else "cup", event_type="view")

    _, counts = await trainer.snapshots.take_overlay("default", "run/", scope())

    lines = [orjson.loads(line) for line in trainer.text("run/similar-items.jsonl").splitlines()]
    lists = {line["input"]["itemId"]: line["output"] for line in lines}
    assert (counts.new_items, set(lists)) == (2, {"jug", "lamp"})
    # 5 of 10 visitors: 0.5 * 5/15; the cup is also second in the category, at half the jug's price.
    assert lists["jug"]["recommendedItems"] == ["cup", "lamp", "mug"]
    assert lists["jug"]["scores"] == [
        round(5 / 10 * 5 / 15 + 0.1 * 0.5 * 0.5, 7), round(5 / 10 * 5 / 15, 7), 0.05
    ]  # fmt: skip
    assert lists["lamp"]["recommendedItems"] == ["jug"]


async def test_a_run_that_is_stopped_for_its_budget_lets_the_next_one_start(trainer: Trainer) -> None:
    first = await trainer.runs.start((await trainer.runs.request("default", "one")).run)
    await trainer.runs.start_step(first.run, "wait")
    second = await trainer.runs.request("default", "two")
    await asyncio.gather(
        *(trainer.runs.time_out(first, "it exceeded its budget of 5 minutes") for _ in range(2))
    )

    later, ended = await trainer.runs.list_newest("default")
    assert (ended["status"], ended["error"]) == ("timed_out", "it exceeded its budget of 5 minutes")
    assert ended["steps"][0]["status"] == "cancelled"
    assert (await trainer.runs.start(second.run)).status == "running"
    assert later["run"] == second.run
    (payload,) = await trainer.database.fetch("SELECT payload FROM outbox")
    assert payload["payload"]["reason"] == "The run was stopped: it exceeded its budget of 5 minutes"
    status = await trainer.database.fetchval("SELECT status FROM execution_states WHERE run = $1", first.run)
    assert status == "TIMED_OUT"
