"""The page of metrics is that of the code, and names follow Prometheus's rules."""

from __future__ import annotations

import re
from collections import Counter
from importlib import import_module

from prometheus_client import Counter as PrometheusCounter
from prometheus_client import Gauge, Histogram

from deploy.local.ports import SERVICES
from tests.architecture.source import ROOT
from tests.contract.metrics import PAGE, metrics, page

_UNITS = re.compile(r"_(?:seconds|bytes)$")


def test_the_committed_page_is_what_the_code_declares() -> None:
    assert (ROOT / PAGE).read_bytes() == page(), "run `make contracts` and commit the change"


def test_every_metric_is_named_and_described_as_prometheus_advises() -> None:
    """https://prometheus.io/docs/practices/naming/"""
    declarations = Counter(metric.name for metric in metrics())
    offenders = []
    for metric in metrics():
        problems = {
            "is declared more than once": declarations[metric.name] > 1,
            "is a counter without _total": metric.kind == "counter" and not metric.name.endswith("_total"),
            "is no counter but ends in _total": metric.kind != "counter" and metric.name.endswith("_total"),
            "is a histogram without its unit": metric.kind == "histogram" and not _UNITS.search(metric.name),
            "names its service wrongly": metric.service not in {"shared", metric.name.split("_")[1]}
            and not metric.name.startswith("endcap_servings_"),
            "has a description that is no sentence": not re.fullmatch(
                r"[A-Z0-9].*\.", metric.help, re.DOTALL
            ),
            "has a pipe in its description, which breaks the table": "|" in metric.help,
            "has a label that Prometheus sets": bool({*metric.labels} & {"instance", "job", "le"}),
        }
        offenders += [f"{metric.name} {problem}" for problem, applies in problems.items() if applies]

    assert not offenders


def test_no_declaration_escapes_the_page() -> None:
    """The metrics that the modules make are those read from their source."""
    made = {
        family.name + ("_total" if family.type == "counter" else "")
        for service in SERVICES
        for value in vars(import_module(f"services.{service}.metrics")).values()
        if isinstance(value, PrometheusCounter | Gauge | Histogram)
        for family in value.collect()
    }

    assert made == {metric.name for metric in metrics() if metric.service in SERVICES}
