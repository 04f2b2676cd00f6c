"""Every benchmark in a size of seconds: figures come out. What they say is of no interest here."""

from __future__ import annotations

import re
from pathlib import Path

from tests.e2e.measured import assert_measured
from tests.load import (
    bench_assignments,
    bench_engine,
    bench_faults,
    bench_lake,
    bench_personalize,
    bench_pipeline,
    bench_slow_clients,
    bench_tracker,
    bench_webhooks,
)
from tests.load import faults as product_faults
from tests.load.__main__ import NAMES
from tests.load.quality.product import Product
from tests.load.quality.scores import recall
from tests.load.quality.tasks import Task, catalogue, interactions
from tests.support.product import Endcap
from tests.support.shop import Shop

SERVICE_TENANT = "bench"


def test_no_benchmark_is_left_out() -> None:
    folders = (Path(__file__).parent, Path(__file__).parents[1] / "browser")
    files = [file for folder in folders for file in folder.rglob("test_*.py")]
    measured = {name for file in files for name in re.findall(r"\bbench_(\w+)\.measure\(", file.read_text())}

    assert measured == set(NAMES)


def test_assignments() -> None:
    assert_measured(list(bench_assignments.measure(1_000)), "assignment, all traffic", "moved by a ramp")


def test_sql_over_the_event_lake() -> None:
    figures = list(bench_lake.measure(365))

    assert_measured(figures, *(f"{name}, 365 rows" for name in bench_lake.QUERIES))


def test_the_engine(endcap: Endcap) -> None:
    steps, figures = bench_engine.measure(endcap, bench_engine.Size("tiny", 120, 120, 1_500))

    assert [step.name for step in steps] == [
        "import",
        "train user-personalization",
        "train similar-items",
        "batch, all users",
        "batch, all items",
    ]
    assert_measured(figures, "engine, tiny: peak memory")


def test_the_quotas_of_personalize(endcap: Endcap) -> None:
    size = bench_personalize.Size(
        recommendations_per_second=50, recommendation_seconds=0.5, puts_per_second=50, put_seconds=0.5
    )

    assert_measured(
        bench_personalize.measure(endcap, size), "GetRecommendations, 50 a second", "PutEvents, 50"
    )


def test_the_pipeline(shop: Shop) -> None:
    figures = bench_pipeline.measure(shop, bench_pipeline.Size(purchases=2, users=300, items=60), mib=1.0)

    assert_measured(figures, "run, step train", "freshness, p50 of 2", "loader, 300 lists")


def test_faults_of_the_product(endcap: Endcap) -> None:
    size = product_faults.Size(seconds=2.0, rounds=1, every_seconds=1.0)

    figures = list(bench_faults.measure(endcap, size, ["nothing"]))

    assert_measured(figures, "nothing: lost or doubled")


def test_slow_clients(endcap: Endcap, tmp_path: Path) -> None:
    size = bench_slow_clients.Size(connections=10, seconds=0.5, behaviours=("slow header",))
    key = endcap.keys["ingest"]

    figures = bench_slow_clients.measure(endcap.stack.environment, key, tmp_path, size)

    assert_measured(figures, "10 connections, slow header")


def test_the_tracker(endcap: Endcap) -> None:
    headers = {"x-api-key": endcap.keys["service"], "x-endcap-tenant": SERVICE_TENANT}
    size = bench_tracker.Size(seconds=0.2, connections=4)

    assert_measured(
        bench_tracker.measure(endcap, size, headers),
        "batches of 1",
        "batches of 100",
        "Segment, batches of 1",
    )


def test_webhooks(endcap: Endcap) -> None:
    headers = {"x-api-key": endcap.keys["service"], "x-endcap-tenant": SERVICE_TENANT}
    size = bench_webhooks.Size(seconds=0.2, connections=2)

    assert_measured(bench_webhooks.measure(endcap, size, headers), "webhooks, stored")


def test_the_way_of_the_quality_figures(endcap: Endcap) -> None:
    rows = [(f"u{user}", f"i{(user + place) % 12}", 60 * place) for user in range(40) for place in range(6)]
    sought = {f"u{user}": ["i0"] for user in range(3)}
    items = catalogue({f"i{item}" for item in range(12)})
    task = Task("ring", "aws-popularity-count", interactions(rows), items, sought, figures=())

    lists = dict(Product(endcap.environment).lists(task, task.recipe))

    assert {user: len(found) for user, found in lists.items()} == dict.fromkeys(sought, 10)
    assert recall(10)(lists["u0"], ["i0"]) in {0.0, 1.0}
