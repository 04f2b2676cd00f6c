"""Prometheus metrics: every name starts with `endcap_`, and a service lists its own.

CPU, memory, file descriptors and garbage collection of the process come with the client library.
"""

from __future__ import annotations

from collections.abc import Sequence

from prometheus_client import Counter, Gauge, Histogram

LATENCY_BUCKETS = (
    0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0,
)  # fmt: skip
"""Seconds: from what a cached answer takes to what nothing may take."""

PREFIX = "endcap_"

_process = Gauge(f"{PREFIX}process_info", "Which process of Endcap this is; always 1.", ["process"])


def counter(name: str, about: str, labels: Sequence[str] = ()) -> Counter:
    """Something that only grows; its name ends in `_total`."""
    return Counter(_checked(name), about, labels)


def gauge(name: str, about: str, labels: Sequence[str] = ()) -> Gauge:
    """Something that goes up and down."""
    return Gauge(_checked(name), about, labels)


def histogram(
    name: str,
    about: str,
    labels: Sequence[str] = (),
    buckets: Sequence[float] = LATENCY_BUCKETS,
) -> Histogram:
    """How something is spread, usually seconds."""
    return Histogram(_checked(name), about, labels, buckets=buckets)


def name_process(process: str) -> None:
    """Say in the metrics which process they are from."""
    _process.labels(process).set(1)


def _checked(name: str) -> str:
    if not name.startswith(PREFIX):
        message = f"metric {name!r} must start with {PREFIX!r}"
        raise ValueError(message)
    return name
