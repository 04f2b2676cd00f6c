"""Prometheus metrics, whose names start with `endcap_`; each service lists its own in a module.

The client library adds CPU, memory, file descriptors and garbage collection of the process.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Sequence
from itertools import accumulate

from prometheus_client import REGISTRY, Counter, Gauge, Histogram
from prometheus_client.metrics_core import HistogramMetricFamily
from prometheus_client.registry import Collector
from prometheus_client.utils import floatToGoString

LATENCY_BUCKETS = (
    0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0,
)  # fmt: skip
"""Seconds, from a cached answer (0.5 ms) to longer than any request may take; arbitrary."""

PREFIX = "endcap_"

_process = Gauge(f"{PREFIX}process_info", "The name of this process as a label; always 1.", ["process"])


def counter(name: str, about: str, labels: Sequence[str] = ()) -> Counter:
    """Return a counter, a number that only grows; its name ends in `_total`. ValueError without `endcap_`."""
    return Counter(_checked(name), about, labels)


def gauge(name: str, about: str, labels: Sequence[str] = ()) -> Gauge:
    """Return a gauge, a number that goes up and down. ValueError without `endcap_`."""
    return Gauge(_checked(name), about, labels)


def histogram(
    name: str,
    about: str,
    labels: Sequence[str] = (),
    buckets: Sequence[float] = LATENCY_BUCKETS,
) -> Histogram:
    """Return a histogram, by default of seconds. ValueError without `endcap_`."""
    return Histogram(_checked(name), about, labels, buckets=buckets)


def loop_histogram(
    name: str,
    about: str,
    labels: Sequence[str],
    buckets: Sequence[float] = LATENCY_BUCKETS,
) -> LoopHistogram:
    """Return a histogram with one label for the event loop's thread alone. ValueError without `endcap_`."""
    (label,) = labels
    histogram = LoopHistogram(_checked(name), about, label, buckets)
    REGISTRY.register(histogram)
    return histogram


def name_process(process: str) -> None:
    """Set the metric that names the process."""
    _process.labels(process).set(1)


def _checked(name: str) -> str:
    if not name.startswith(PREFIX):
        message = f"metric {name!r} must start with {PREFIX!r}"
        raise ValueError(message)
    return name


class LoopHistogram(Collector):
    """A histogram with one label that the thread of the event loop alone observes.

    Without locks an observation costs a fifth of that of prometheus_client's Histogram (measured).
    """

    def __init__(self, name: str, about: str, label: str, bounds: Sequence[float]) -> None:
        self._name, self._about, self._label = name, about, label
        self._bounds = [*bounds]
        self._observations: dict[str, Observations] = {}

    def of(self, value: str) -> Observations:
        """Return the observations with a value of the label."""
        return self._observations.setdefault(value, Observations(self._bounds))

    def collect(self) -> Iterator[HistogramMetricFamily]:
        """Yield the histogram; values of the label without observations are left out."""
        family = HistogramMetricFamily(self._name, self._about, labels=[self._label])
        limits = [*map(floatToGoString, self._bounds), "+Inf"]
        for value, observations in self._observations.items():
            if any(observations.counts):
                buckets = [*zip(limits, accumulate(observations.counts), strict=True)]
                family.add_metric([value], buckets, observations.seconds)
        yield family


class Observations:
    """Durations in seconds: a number for each bucket, and their sum."""

    __slots__ = ("_bounds", "counts", "seconds")

    def __init__(self, bounds: list[float]) -> None:
        self._bounds = bounds
        self.counts = [0] * (len(bounds) + 1)
        self.seconds = 0.0

    def observe(self, seconds: float) -> None:
        """Count a duration; a bucket contains its upper bound."""
        self.counts[bisect_left(self._bounds, seconds)] += 1
        self.seconds += seconds
