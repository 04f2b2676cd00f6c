"""The benchmark of outages in a size of seconds. It starts a stack of its own, beside the product."""

from __future__ import annotations

from tests.e2e.measured import assert_measured
from tests.load import bench_outages
from tests.load.serving_process import serving_stack


def test_outages() -> None:
    size = bench_outages.Size(users=50, items=30, rate=40.0, seconds=2.0, connections=10)
    with serving_stack() as stack:
        figures = list(bench_outages.measure(stack, size))

    assert_measured(figures, "nothing: p99", "Redis stopped: p99", "Kafka stopped: p99")
    assert [figure for figure in figures if ", 0 errors" not in figure.reference] == []
