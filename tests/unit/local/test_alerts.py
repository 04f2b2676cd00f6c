"""The alert rules speak of metrics and labels that the processes really have."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.contract.metrics import base_name, metrics, series
from tests.support.waiting import PATIENCE

ROOT = Path(__file__).parents[3]
LABELS = {metric.name: {*metric.labels} for metric in metrics()}
EXPORTED = {
    "up": frozenset[str](),
    "probe_ssl_earliest_cert_expiry": frozenset[str](),
    "node_filesystem_avail_bytes": frozenset({"mountpoint", "fstype"}),
    "node_filesystem_size_bytes": frozenset({"mountpoint", "fstype"}),
}
"""Series of Prometheus and its exporters, with their labels."""
FOLDER = ROOT / "deploy/prometheus"


def rules(file: str) -> list[dict[str, Any]]:
    groups = yaml.safe_load((FOLDER / file).read_text())["groups"]
    return [rule for group in groups for rule in group["rules"]]


RULES = rules("alerts.yml")
HOST_RULES = rules("host-alerts.yml")
TESTS = ["alerts-test.yml", "alerts-days-test.yml"]
NOTICED = {
    "endcap_kafka_consumer_waiting_seconds",
    "endcap_kafka_consumer_halted",
    "endcap_kafka_dead_letters_total",
    "endcap_kafka_consumer_lag",
    "endcap_trainer_runs_total",
    "endcap_tracker_events_accepted_total",
    "endcap_recommender_answers_total",
    "endcap_outbox_oldest_age_seconds",
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
        assert name in LABELS, "no process has it"
        made = LABELS[name] | {"instance", "job"}
        kept = set(re.split(r"\W+", grouped[1])) - {"le"} if grouped else made
        assert kept <= made
        assert labels <= kept
    assert rule["expr"].count("(") == rule["expr"].count(")")
    assert rule["labels"]["severity"] in {"warning", "critical"}


@pytest.mark.parametrize("rule", [*RULES, *HOST_RULES], ids=lambda rule: rule["alert"])
def test_the_runbook_says_what_to_do(rule: dict[str, Any]) -> None:
    assert f"`{rule['alert']}`" in (ROOT / "deploy/README.md").read_text()


def names(rule: dict[str, Any]) -> list[str]:
    return [base_name(name) for name in re.findall(r"endcap_\w+", rule["expr"])]


def test_each_rule_has_a_time_when_it_fires_and_one_when_it_does_not() -> None:
    groups = [group for file in TESTS for group in yaml.safe_load((FOLDER / file).read_text())["tests"]]
    cases = [case for group in groups for case in group["alert_rule_test"]]
    alerts = {rule["alert"] for rule in [*RULES, *HOST_RULES]}

    assert {case["alertname"] for case in cases if case["exp_alerts"]} == alerts
    assert {case["alertname"] for case in cases if not case["exp_alerts"]} == alerts
    stored = series() | EXPORTED
    invented = [
        entry["series"]
        for group in groups
        for entry in group["input_series"]
        if not labels_of(entry["series"]) <= stored.get(entry["series"].partition("{")[0], set())
    ]
    assert not invented


def labels_of(written: str) -> set[str]:
    """Return the labels of a series as tests write it, but for those that Prometheus adds."""
    return {*re.findall(r"(\w+)=", written)} - {"instance", "job"}


def test_the_rules_ring_when_they_should_and_not_before(promtool: Path) -> None:
    run(promtool, "check", "rules", "alerts.yml", "host-alerts.yml")
    run(promtool, "test", "rules", *TESTS)


def run(program: Path, *words: str) -> None:
    done = subprocess.run(
        [program, *words], cwd=FOLDER, capture_output=True, text=True, timeout=PATIENCE, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_alerts_reach_mail_slack_and_pagerduty(amtool: Path) -> None:
    run(amtool, "check-config", "alertmanager.yml", "../compose/alertmanager/alertmanager.yml")
    severities = {rule["alert"]: rule["labels"]["severity"] for rule in [*RULES, *HOST_RULES]}
    for alert, receivers in (
        ("EndcapProcessDown", "pagerduty,slack"),
        ("EndcapRunFailed", "mail,slack"),
        ("EndcapConsumerLag", "slack"),
    ):
        words = ["--config.file=alertmanager.yml", f"--verify.receivers={receivers}"]
        labels = [f"alertname={alert}", f"severity={severities[alert]}"]
        run(amtool, "config", "routes", "test", *words, *labels)
