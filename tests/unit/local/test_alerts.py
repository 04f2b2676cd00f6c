"""The alert rules speak of metrics and labels that the processes really have."""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[3]
MAKERS = {"counter", "gauge", "histogram"}


@cache
def metrics() -> dict[str, set[str]]:
    """Return the labels of each metric that the code makes, by its name."""
    made = {}
    for folder in ("shared", "services"):
        for path in (ROOT / folder).rglob("*.py"):
            content = path.read_text()
            if not any(f"{maker}(" in content for maker in MAKERS):
                continue
            for node in ast.walk(ast.parse(content)):
                if isinstance(node, ast.Call) and getattr(node.func, "id", "") in MAKERS:
                    arguments = [*node.args, *(keyword.value for keyword in node.keywords)]
                    labels = arguments[2] if len(arguments) > 2 else ast.List([])
                    made[ast.literal_eval(arguments[0])] = set(ast.literal_eval(labels))
    return made


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
        assert name in metrics(), "no process has it"
        made = metrics()[name] | {"instance"}
        kept = set(re.split(r"\W+", grouped[1])) if grouped else made
        assert kept <= made
        assert labels <= kept
    assert rule["expr"].count("(") == rule["expr"].count(")")
    assert rule["labels"]["severity"] in {"warning", "critical"}


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule["alert"])
def test_the_runbook_says_what_to_do(rule: dict[str, Any]) -> None:
    assert f"`{rule['alert']}`" in (ROOT / "deploy/README.md").read_text()


def names(rule: dict[str, Any]) -> list[str]:
    return re.findall(r"endcap_\w+", rule["expr"])
