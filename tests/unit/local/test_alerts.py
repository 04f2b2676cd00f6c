"""The alert rules speak of metrics and labels that the processes really have."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[3]
MAKERS = {"counter", "gauge", "histogram"}


def metrics() -> Iterator[tuple[str, set[str]]]:
    """Each metric that the code makes, with its labels."""
    for folder in ("shared", "services"):
        for path in (ROOT / folder).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text())):
                if isinstance(node, ast.Call) and getattr(node.func, "id", "") in MAKERS:
                    arguments = [*node.args, *(keyword.value for keyword in node.keywords)]
                    labels = arguments[2] if len(arguments) > 2 else ast.List([])
                    yield ast.literal_eval(arguments[0]), set(ast.literal_eval(labels))


METRICS = dict(metrics())
RULES = [
    rule
    for group in yaml.safe_load((ROOT / "deploy/prometheus/alerts.yml").read_text())["groups"]
    for rule in group["rules"]
]
NOTICED = {
    "endcap_kafka_consumer_waiting_seconds",
    "endcap_kafka_consumer_halted",
    "endcap_kafka_dead_letters_total",
    "endcap_kafka_consumer_lag",
}


def test_what_must_be_noticed_has_an_alert() -> None:
    assert {name for rule in RULES for name in names(rule)} >= NOTICED
    assert len({rule["alert"] for rule in RULES}) == len(RULES)


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule["alert"])
def test_a_rule_can_be_evaluated_and_read(rule: dict[str, Any]) -> None:
    grouped = re.search(r"by \(([^)]*)\)", rule["expr"])
    labels = set(re.findall(r"\$labels\.(\w+)", " ".join(rule["annotations"].values())))

    assert names(rule)
    for name in names(rule):
        assert name in METRICS, "no process has it"
        kept = set(re.split(r"\W+", grouped[1])) if grouped else METRICS[name] | {"instance"}
        assert kept <= METRICS[name] | {"instance"}
        assert labels <= kept
    assert rule["expr"].count("(") == rule["expr"].count(")")
    assert rule["labels"]["severity"] in {"warning", "critical"}


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule["alert"])
def test_the_runbook_says_what_to_do(rule: dict[str, Any]) -> None:
    assert f"`{rule['alert']}`" in (ROOT / "deploy/README.md").read_text()


def names(rule: dict[str, Any]) -> list[str]:
    return re.findall(r"endcap_\w+", rule["expr"])
