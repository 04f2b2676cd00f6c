"""Goodput under overload: answers in time at half, once, one and a half times and twice the capacity.

The capacity is what the recommender answers while clients send as fast as it responds. Then requests come at
a constant rate over many connections, as from independent visitors. Goodput is the number of answers a second
with status 200 within half a second; the others should be refused at little cost, with 429.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import orjson

from tests.load import serving_shop as shop
from tests.load.figures import Figure, cpu_seconds
from tests.load.serving_process import PREFIX, LoadGenerator, is_filled, server, serving_stack, wait_until

LOADS = (0.5, 1.0, 1.5, 2.0)
DEADLINE_SECONDS = 0.5


@dataclass(frozen=True)
class Size:
    """The shop, the number of requests that measure the capacity, and the duration of each load."""

    users: int
    items: int
    requests: int
    seconds: float
    connections: int


FULL = Size(users=20_000, items=5_000, requests=30_000, seconds=10.0, connections=1_500)


def run() -> list[Figure]:
    """Measure over components of its own."""
    with serving_stack() as stack:
        return list(measure(stack.environment, FULL))


def measure(environment: Mapping[str, str], size: Size) -> Iterator[Figure]:
    """Yield capacity, goodput and p99 at each load, and the CPU time of a refusal."""
    environment = {**environment, **shop.SETTINGS}
    shop.fill(environment, size.users, size.items)
    paths = [f"{PREFIX}/recommendations/u{user}?limit=10" for user in range(0, size.users, 7)]
    with server("services.recommender", environment) as (pid, port):
        wait_until(lambda: is_filled(port, size.items))
        with LoadGenerator() as generator:
            generator.send(port, paths, size.requests // 5)
            capacity = size.requests / generator.send(port, paths, size.requests)
        yield Figure("recommender: capacity, 64 clients", capacity, "answers/s")
        best = 0.0
        for load in LOADS:
            before = cpu_seconds(pid)
            result = visit(port, paths, load * capacity, size.seconds, size.connections, DEADLINE_SECONDS)
            used = cpu_seconds(pid) - before
            goodput = (result["statuses"].get("200", 0) - result["late"]) / result["seconds"]
            best = max(best, goodput)
            name = f"recommender at {load:g} × capacity"
            yield Figure(f"{name}: goodput", goodput, "answers/s", _outcome(result), "≥ 90 % of the most")
            yield Figure(
                f"{name}: p99 of answers", result["p99"] * 1e3, "ms", f"p50 {result['p50'] * 1e3:.1f}"
            )
            yield Figure(f"{name}: CPU", used / result["requests"] * 1e6, "µs per request")
        yield Figure(
            "goodput at twice the capacity", goodput / (best or 1) * 100, "% of the most", "", "≥ 90 %"
        )


def visit(
    port: int, paths: list[str], rate: float, seconds: float, connections: int, deadline_seconds: float
) -> dict[str, Any]:
    """Send requests at a constant rate from another process; return its result."""
    job = {
        "port": port,
        "paths": paths,
        "headers": shop.HEADERS,
        "rate": rate,
        "seconds": seconds,
        "connections": connections,
        "deadline_seconds": deadline_seconds,
    }
    words = [sys.executable, "-m", "tests.load.open_load"]
    done = subprocess.run(words, input=orjson.dumps(job), stdout=subprocess.PIPE, check=True)
    result: dict[str, Any] = orjson.loads(done.stdout)
    return result


def _outcome(result: Mapping[str, Any]) -> str:
    offered = result["requests"] / result["seconds"]
    counts = ", ".join(f"{name} {count:,}" for name, count in sorted(result["statuses"].items()))
    lag = f"the sender's own lag {result['lag'] * 1e3:.0f} ms"
    return f"{offered:,.0f}/s offered; {counts}; late {result['late']:,}; {lag}"
