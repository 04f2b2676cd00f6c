"""The Prometheus metrics that the code declares, and docs/prometheus.md, which is generated from them."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from deploy.gateway.metrics import METRICS as GATEWAY
from deploy.gateway.metrics import PREFIX as GATEWAY_PREFIX
from deploy.local.ports import SERVICES
from shared.observability.metrics import PREFIX
from tests.architecture.source import ROOT, parsed, python_files

PAGE = Path("docs/prometheus.md")
KINDS = {
    "counter": "counter",
    "gauge": "gauge",
    "histogram": "histogram",
    "loop_histogram": "histogram",
}
"""The kinds of metrics by the function of shared/observability/metrics.py that makes one."""
SHARED = "shared"

_PARAMETERS = ("name", "about", "labels")
_CALL = re.compile(rf"\b(?:{'|'.join(KINDS)})\(")
"""Matches the call that declares a metric. Files without a match are not parsed: parsing all takes 5 s."""
_SUFFIX = re.compile(r"_(?:bucket|count|sum)$")
_HEAD = """# Prometheus metrics

`make contracts` writes this page from the code. Every process answers `/metrics`
([where](../deploy/README.md)); dashboards, alerts and how to collect are in [monitoring](monitoring.md).

A histogram has the series `_bucket` (with the label `le`), `_sum` and `_count`; its buckets are those of
[metrics.py](../shared/observability/metrics.py) unless its declaration names others. The client library adds
`process_*` (CPU, memory, file descriptors) and `python_*`.
"""
_COLUMNS = "| metric | kind | labels | description |\n|---|---|---|---|\n"
_TITLES = {
    SHARED: "Of every service\n\nA process has those of the parts that it is made of.",
    "gateway": "Gateway",
}


@dataclass(frozen=True, slots=True)
class Metric:
    """A metric as its declaration writes it; `service` is that of its file, `shared` or `gateway`."""

    name: str
    kind: str
    labels: tuple[str, ...]
    help: str
    service: str

    @property
    def series(self) -> dict[str, frozenset[str]]:
        """Return the labels of each series that Prometheus stores, by its name."""
        labels = frozenset(self.labels)
        if self.kind != "histogram":
            return {self.name: labels}
        return {
            f"{self.name}_bucket": labels | {"le"},
            f"{self.name}_sum": labels,
            f"{self.name}_count": labels,
        }


@cache
def metrics() -> tuple[Metric, ...]:
    """Return the metrics of all services, of what they share, and of the gateway, by service and name."""
    declared = [
        metric
        for path in python_files("shared", "services")
        if path != Path("shared/observability/metrics.py") and _CALL.search((ROOT / path).read_text())
        for metric in _declared(path)
    ]
    process = Metric(
        f"{PREFIX}process_info",
        "gauge",
        ("process",),
        "The name of this process as a label; always 1.",
        SHARED,
    )
    gateway = [
        Metric(f"{GATEWAY_PREFIX}{name}", kind, _labels(samples), about, "gateway")
        for name, kind, about, samples in GATEWAY
    ]
    order = (SHARED, *SERVICES, "gateway")
    return tuple(
        sorted([*declared, process, *gateway], key=lambda each: (order.index(each.service), each.name))
    )


def series() -> dict[str, frozenset[str]]:
    """Return the labels of every series, by its name."""
    return {name: labels for metric in metrics() for name, labels in metric.series.items()}


def base_name(name: str) -> str:
    """Return the name of the histogram that a series belongs to, or the name itself."""
    return _SUFFIX.sub("", name)


def page() -> bytes:
    """Return the content of the page."""
    sections = [_HEAD]
    for service in (SHARED, *SERVICES, "gateway"):
        rows = "".join(_row(metric) for metric in metrics() if metric.service == service)
        sections.append(f"## {_TITLES.get(service, service.capitalize())}\n\n{_COLUMNS}{rows}")
    return "\n".join(sections).encode()


def _row(metric: Metric) -> str:
    labels = ", ".join(f"`{label}`" for label in metric.labels)
    return f"| `{metric.name}` | {metric.kind} | {labels} | {metric.help} |\n"


def _declared(path: Path) -> Iterable[Metric]:
    service = path.parts[1] if path.parts[0] == "services" else SHARED
    for node in ast.walk(parsed(path)):
        if isinstance(node, ast.Call) and getattr(node.func, "id", "") in KINDS:
            written = dict(zip(_PARAMETERS, node.args, strict=False))
            written |= {keyword.arg: keyword.value for keyword in node.keywords if keyword.arg in _PARAMETERS}
            name, about, labels = (ast.literal_eval(written.get(each, ast.Tuple([]))) for each in _PARAMETERS)
            yield Metric(name, KINDS[node.func.id], tuple(labels), about, service)  # type: ignore[attr-defined] # a Name


def _labels(samples: Iterable[str]) -> tuple[str, ...]:
    """Return the label names of `{state="reading"}` and such."""
    return tuple(dict.fromkeys(name for sample in samples for name in re.findall(r"(\w+)=", sample)))
