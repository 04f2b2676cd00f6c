"""Things die at the worst moment: what was acknowledged is stored, nothing twice, no torn generation.

Each test adds a row to the kill table (what was killed, how often, lost, doubled), which is printed
at the end of the run.
"""

from __future__ import annotations

import asyncio
import itertools
import signal
import threading
import time
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.bursts import ITEMS, assert_nothing_lost_or_doubled, under_load
from tests.e2e.readers import Readers
from tests.support.shop import Shop
from tests.support.waiting import eventually, until

# The workers to be killed when a run has reached a step.
STEPS = {
    "snapshot": ["trainer-worker"],
    "train": ["trainer-worker", "engine-worker"],
    "batch": ["trainer-worker", "engine-worker"],
}

ORDERS = 4_000

# What the loader says of a generation when its worker is to be killed.
MOMENTS = {
    "at once": {"queued", "loading", "loaded"},
    "while loading": {"loading", "loaded"},
    "after loading": {"loaded"},
}


async def test_the_relay_of_an_import_and_every_worker_of_its_run_are_killed(
    shop: Shop, tmp_path: Path, kill_table: list[str]
) -> None:
    """One run bears the kills of all workers, since a training takes its time: the one of the import."""
    mark = uuid.uuid4().hex[:8]
    kills = _import_while_the_relay_is_killed(shop, tmp_path / "orders.csv", mark)
    number = until(lambda: _unfinished_run(shop), "the run of the import")
    run, readers = _run_whose_workers_are_killed(shop, number, kill_table)

    like = f"{mark}-%"
    count = (
        "SELECT count(*) AS n, count(DISTINCT order_id) AS orders "
        "FROM tracker.interactions WHERE order_id LIKE $1"
    )
    rows = await eventually(
        lambda: shop.query(count, like),
        f"{ORDERS} orders are in the log",
        enough=lambda found: found[0]["n"] >= ORDERS,
        every=0.2,
    )
    assert (rows[0]["n"], rows[0]["orders"]) == (ORDERS, ORDERS)
    assert run["status"] == "completed", run
    assert not readers.torn
    assert readers.count > 0
    kill_table.append(f"outbox relay, kill -9 ×{kills}: {ORDERS} orders, lost 0, doubled 0")
    for step, workers in STEPS.items():
        kill_table.append(f"{', '.join(workers)}, kill -9 ×1 at {step}: run {number} succeeded")
    kill_table.append(f"{readers.count} answers read meanwhile, torn 0")


def _import_while_the_relay_is_killed(shop: Shop, path: Path, mark: str) -> int:
    """Import `ORDERS` orders, whose ids begin with `mark`; return how often the relay was killed."""
    products = [row["item_id"] for row in shop.rows("items")[:90]]
    path.write_text(
        "order_id,line,user_id,customer_name,ordered_at,product_id,product_name,category,quantity,price,"
        "currency,city,province,country,kind\n"
        + "".join(
            f"{mark}-{n},1,c-{mark}-{n % 500},,2026-10-01T08:00:00Z,{item},Thing,Things,1,2.5,,,,,order\n"
            for n, item in zip(range(ORDERS), itertools.cycle(products), strict=False)
        )
    )
    stop = threading.Event()
    kills: list[int] = []

    def kill() -> None:
        while not stop.is_set() and len(kills) < 5:
            time.sleep(0.5)
            kills.append(shop.endcap.kill("sync-relay"))
            until(lambda: shop.endcap.pid("sync-relay") not in {0, kills[-1]}, "a new relay")

    killer = threading.Thread(target=kill)
    killer.start()
    account = shop.import_file("orders", path)
    stop.set()
    killer.join()
    assert account["rows"]["accepted"] == ORDERS
    return len(kills)


def _unfinished_run(shop: Shop) -> int | None:
    runs = shop.get("trainer", "/v1/runs")["runs"]
    return next((int(run["run"]) for run in runs if run["status"] in {"queued", "running"}), None)


def _run_whose_workers_are_killed(shop: Shop, number: int, kill_table: list[str]) -> tuple[Any, Readers]:
    """Kill the workers of a run at each of its steps, and the loader's; return the run once it is served."""
    with Readers(shop) as readers:
        for step, workers in STEPS.items():
            until(_reached(shop, number, step), f"run {number} reached {step}")
            for worker in workers:
                shop.endcap.kill_and_wait(worker)
        for moment, statuses in MOMENTS.items():
            status = until(
                lambda: _loading(shop, number),
                f"generation {number} is there {moment}",
                enough=lambda status, statuses=statuses: status in statuses,
            )
            shop.endcap.kill_and_wait("loader-worker")
            kill_table.append(f"loader's worker, kill -9 ×1 {moment} ({status}): generation {number} served")
        run = shop.wait_for_run(number)
        shop.wait_for_generation(number)
    return run, readers


def _loading(shop: Shop, number: int) -> str | None:
    """The status of a generation, once the loader knows of it."""
    answer = shop.call("GET", "loader", f"/v1/generations/{number}")
    return answer.json()["status"] if answer.status_code == 200 else None


def _reached(shop: Shop, number: int, step: str) -> Callable[[], bool]:
    def look() -> bool:
        run = shop.get("trainer", f"/v1/runs/{number}")
        return any(entry["name"] == step and entry["status"] != "pending" for entry in run["steps"])

    return look


async def test_the_trackers_store_is_killed_five_times_mid_batch(
    shop: Shop, burst_key: str, kill_table: list[str]
) -> None:
    counted = await shop.query("SELECT coalesce(sum(rows), 0) AS n FROM tracker.interaction_counts")
    held = await shop.query("SELECT count(*) AS n FROM tracker.interactions")
    assert counted[0]["n"] == held[0]["n"]

    with under_load(shop, burst_key, posts=1_500) as burst:
        for _ in range(5):
            await asyncio.sleep(0.4)
            shop.endcap.kill_and_wait("tracker-worker")

    await assert_nothing_lost_or_doubled(burst)
    counted = await shop.query("SELECT sum(rows) AS n FROM tracker.interaction_counts")
    held = await shop.query("SELECT count(*) AS n FROM tracker.interactions")
    assert counted[0]["n"] == held[0]["n"]
    kill_table.append(
        f"tracker's store, kill -9 ×5: {len(burst.acknowledged)} acknowledged, lost 0, doubled 0"
    )


@pytest.mark.smoke
async def test_the_tracker_itself_is_killed_while_answering(
    shop: Shop, burst_key: str, kill_table: list[str]
) -> None:
    with under_load(shop, burst_key, posts=600) as burst:
        for _ in range(2):
            await asyncio.sleep(0.3)
            shop.endcap.kill_and_wait("tracker")

    await assert_nothing_lost_or_doubled(burst)
    kill_table.append(
        f"tracker, kill -9 ×2: {len(burst.acknowledged)} acknowledged, {len(burst.unknown)} unknown, "
        "lost 0, doubled 0"
    )


async def test_kafka_is_killed_twice_under_load(shop: Shop, burst_key: str, kill_table: list[str]) -> None:
    with under_load(shop, burst_key, posts=1_000) as burst:
        for _ in range(2):
            await asyncio.sleep(0.3)
            shop.endcap.kill_and_wait("kafka")

    shop.endcap.wait_healthy()
    await assert_nothing_lost_or_doubled(burst)
    assert shop.send({"user_id": "u", "event_type": "view", "item_id": ITEMS[0]}).status_code == 200
    kill_table.append(
        f"Kafka, kill -9 ×2: {len(burst.acknowledged)} acknowledged, {len(burst.unknown)} unknown, "
        "lost 0, doubled 0"
    )


def test_the_tracker_says_503_while_kafka_is_stopped(shop: Shop) -> None:
    shop.endcap.stop("kafka")
    try:
        began = time.monotonic()
        answer = shop.send({"user_id": "u", "event_type": "view", "item_id": ITEMS[0]})
        took = time.monotonic() - began
        still = shop.recommendations(shop.buyer())
    finally:
        shop.endcap.start("kafka")

    assert answer.status_code == 503
    assert "retry-after" in answer.headers
    assert took < 30, "the wait is bounded"
    assert still["recommendations"]
    shop.endcap.wait_healthy()


def test_postgres_answers_without_redis_and_popular_items_without_both(shop: Shop) -> None:
    user = shop.buyer(3)
    cached = _answered_from("redis", shop, user)

    shop.endcap.stop("redis")
    try:
        stored = _answered_from("postgres", shop, user)
        shop.endcap.stop("postgres")
        try:
            popular = shop.recommendations(user, service="recommender")
        finally:
            shop.endcap.start("postgres")
    finally:
        shop.endcap.start("redis")

    assert stored["recommendations"] == cached["recommendations"]
    assert stored["generation"] == cached["generation"]
    assert popular["source"] == "popular"
    assert popular["recommendations"]
    _answered_from("redis", shop, user)
    shop.endcap.wait_healthy()


def _answered_from(source: str, shop: Shop, user: str) -> Any:
    """The answer of a source that may be late now and then, on a busy machine."""
    return until(
        lambda: shop.recommendations(user, service="recommender"),
        f"{source} answers",
        enough=lambda answer: answer["source"] == source,
    )


async def test_a_frozen_postgres_loses_nothing(shop: Shop, burst_key: str, kill_table: list[str]) -> None:
    with under_load(shop, burst_key, posts=400) as burst:
        shop.endcap.kill("postgres", signal.SIGSTOP)
        await asyncio.sleep(3)
        shop.endcap.kill("postgres", signal.SIGCONT)

    await assert_nothing_lost_or_doubled(burst)
    kill_table.append(f"Postgres, frozen 3 s: {len(burst.acknowledged)} acknowledged, lost 0, doubled 0")


def test_a_rollback_serves_the_earlier_generation_again(shop: Shop) -> None:
    generations = shop.get("loader", "/v1/generations")["generations"]
    known = [entry for entry in generations if entry["kind"] == "full"]  # an overlay needs its own base
    newest = next(entry["generation"] for entry in known if entry["active"])
    earlier = max(
        entry["generation"] for entry in known if entry["status"] == "loaded" and entry["generation"] < newest
    )

    for target in (earlier, newest):
        assert shop.call("POST", "loader", f"/v1/generations/{target}/activate").status_code == 200
        shop.wait_for_generation(target)
