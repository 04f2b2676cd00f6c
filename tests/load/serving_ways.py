"""Ways of requests, compared with a reference in rounds: CPU per request, and its ratio to the reference."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from statistics import median

from tests.load.figures import Figure, cpu_seconds
from tests.load.serving_process import LoadGenerator

MIN_ROUNDS = 2


@dataclass(frozen=True)
class Budget:
    """The ratio that must not be exceeded, and the one that is the aim."""

    most: float
    aim: float | None = None

    def __str__(self) -> str:
        return f"≤ {self.most:g} ×" + ("" if self.aim is None else f", aim {self.aim:g} ×")


@dataclass(frozen=True)
class Way:
    """Requests to a port, and the processes whose CPU time counts."""

    name: str
    port: int
    processes: Sequence[int]
    paths: Sequence[str]
    budget: Budget | None = None
    bodies: Sequence[str] | None = None


@dataclass(frozen=True)
class Difference:
    """The CPU time of one way beyond that of another in the same round."""

    name: str
    way: str
    base: str
    budget: Budget


class Reference:
    """The requests to which others are compared, and the generator of all load."""

    def __init__(self, generator: LoadGenerator, way: Way, requests: int) -> None:
        """Send so many `requests` of a way in a round."""
        self._generator = generator
        self._way = way
        self.requests = requests
        self._sent = 0

    def micros(self, way: Way | None = None, requests: int | None = None) -> float:
        """Return the µs of CPU per request of a way, by default of the reference, in one round."""
        way, requests = way or self._way, requests or self.requests
        bodies = None if way.bodies is None else list(way.bodies)
        before = sum(map(cpu_seconds, way.processes))
        self._generator.send(way.port, list(way.paths), requests, bodies, self._sent)
        used = sum(map(cpu_seconds, way.processes)) - before
        self._sent += requests
        return used / requests * 1e6

    def figure(self, name: str, micros: Sequence[float], budget: Budget | None, detail: str = "") -> Figure:
        """Return measurements of something else as a figure: the least one, beside the least of as many."""
        least, raw = min(micros), min(self.micros() for _ in micros)
        return ratio_figure(name, least, least / raw, budget, detail)


def ratio_figure(name: str, micros: float, ratio: float, budget: Budget | None, detail: str = "") -> Figure:
    """Return a figure in µs with its ratio to raw ASGI; it is over its budget if the ratio is."""
    reference = f"{ratio:.2f} × raw ASGI" + (f"; {detail}" if detail else "")
    if budget is None:
        return Figure(name, micros, "µs CPU", reference)
    return Figure(name, micros, "µs CPU", reference, str(budget), limit=budget.most * micros / ratio)


def compare(
    reference: Reference,
    ways: Sequence[Way],
    rounds: int,
    seconds: float,
    differences: Sequence[Difference] = (),
) -> Iterator[Figure]:
    """Measure all ways and the reference in turn, for some rounds or seconds; yield the medians.

    The first requests of each way, which fill caches, are not counted.
    """
    for way in ways:
        reference.micros(way)
    measured: list[list[float]] = []
    until = time.monotonic() + seconds
    while len(measured) < rounds and (len(measured) < MIN_ROUNDS or time.monotonic() < until):
        measured.append([reference.micros(way) for way in (None, *ways)])
    detail = f"median of {len(measured)} rounds of {reference.requests:,} requests"
    yield Figure(
        "raw ASGI answer over one Redis connection",
        median(row[0] for row in measured),
        "µs CPU",
        f"with Redis; {detail}",
    )
    numbers = {way.name: number for number, way in enumerate(ways, 1)}
    for way in ways:
        number = numbers[way.name]
        ratio = median(row[number] / row[0] for row in measured)
        yield ratio_figure(way.name, median(row[number] for row in measured), ratio, way.budget)
    for each in differences:
        number, base = numbers[each.way], numbers[each.base]
        ratio = median((row[number] - row[base]) / row[0] for row in measured)
        micros = median(row[number] - row[base] for row in measured)
        yield ratio_figure(each.name, micros, ratio, each.budget)
