"""The benchmarks of serving in a size of seconds, over one stack of components without the product."""

from __future__ import annotations

from deploy.local.stack import Stack
from tests.e2e.measured import assert_measured
from tests.load import bench_freshness, bench_outages, bench_overload, bench_serving


def test_serving(stack: Stack) -> None:
    size = bench_serving.Size(
        users=200,
        items=100,
        requests=50,
        rounds=2,
        seconds=1.0,
        scorings=2,
        events=500,
        recorded_answers=400,
        memory_items=100,
        memory_users=100,
        live_items=(100,),
    )

    assert_measured(
        list(bench_serving.measure(stack.environment, size)),
        "raw ASGI answer",
        "10 items decorated",
        "placement: one with a filter and rules",
        "placement: home for a user with 100 events",
        "GraphQL: getRecommendations of 10 items",
        "router: the list of 10, passed through",
        "recommender: the list of 10 with experiment and exposure",
        "recommender: a decision with exposure, on top",
        "router: the list of 10 with experiment and exposure",
        "the first exposure of a unit and day",
        "router, a list with experiment: p99 at half of that",
        "live scoring, 50 recent events",
        "an interaction into its history",
        "the record of an answer",
        "memory of Redis per 1 M users",
    )


def test_overload(stack: Stack) -> None:
    size = bench_overload.Size(users=200, items=100, requests=200, seconds=0.5, connections=20)

    figures = list(bench_overload.measure(stack.environment, size))

    assert_measured(figures, "0.5 × capacity: goodput", "2 × capacity: p99", "goodput at twice the capacity")


def test_freshness(stack: Stack) -> None:
    size = bench_freshness.Size(items=50, events=5)

    assert_measured(list(bench_freshness.measure(stack.environment, size)), "5 events: p99")


def test_outages(stack: Stack) -> None:
    size = bench_outages.Size(users=50, items=30, rate=40.0, seconds=2.0, connections=10)

    figures = list(bench_outages.measure(stack, size))

    assert_measured(figures, "nothing: p99", "Redis stopped: p99", "Kafka stopped: p99")
    assert [figure for figure in figures if ", 0 errors" not in figure.reference] == []
