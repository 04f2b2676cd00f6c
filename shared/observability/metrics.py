"""Prometheus metrics, whose names start with `endcap_`; each service lists its own in a module.

The client library adds CPU, memory, file descriptors and garbage collection of the process.
"""

from __future__ import annotations

from collections.abc import Sequence

from prometheus_client import Counter, Gauge, Histogram

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


def name_process(process: str) -> None:
    """Set the metric that names the process."""
    _process.labels(process).set(1)


def _checked(name: str) -> str:
    if not name.startswith(PREFIX):
        message = f"metric {name!r} must start with {PREFIX!r}"
        raise ValueError(message)
    return name
