"""The dashboards of Grafana query series and labels that exist, in PromQL that Prometheus accepts."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path
from typing import Any

import yaml

from deploy.grafana.boards import DASHBOARDS, FOLDER, documents
from deploy.local.ports import Ports
from deploy.local.product import probe_port, programs
from tests.contract.metrics import series
from tests.support.waiting import PATIENCE

ROOT = Path(__file__).parents[3]
CLIENT = {"process_cpu_seconds_total", "process_resident_memory_bytes", "up"}
"""Series of Prometheus and of its client library, without labels of their own."""
ADDED = frozenset({"instance", "job"})
"""Labels that Prometheus adds to each series."""

STORED = series() | dict.fromkeys(CLIENT, frozenset())
_SELECTOR = re.compile(r"\b((?:endcap|process)_\w+|up\b)(?:\{([^}]*)\})?")
_GROUPED = re.compile(r"\bby \(([^)]*)\)")


def panels() -> list[tuple[str, dict[str, Any]]]:
    boards = {path.name: json.loads(content) for path, content in documents().items()}
    return [
        (f"{name}: {panel['title']}", panel) for name, board in boards.items() for panel in board["panels"]
    ]


def queries() -> list[tuple[str, str, str]]:
    """Return panel, expression and legend of every query."""
    return [
        (name, target["expr"], target["legendFormat"])
        for name, panel in panels()
        for target in panel["targets"]
    ]


def names(text: str) -> set[str]:
    return {*re.split(r"[\s,]+", text)} - {""}


def problems(expression: str, legend: str) -> list[str]:
    """Return what a query names that no process has, or that it has summed up."""
    selectors = _SELECTOR.findall(expression)
    known = ADDED.union(*(STORED.get(metric, frozenset()) for metric, _ in selectors))
    grouped = [names(group) for group in _GROUPED.findall(expression)]
    shown = set(re.findall(r"\{\{(\w+)\}\}", legend))
    wrong = [f"no process has {metric}" for metric, _ in selectors if metric not in STORED]
    wrong += [
        f"{metric} has no label {label}"
        for metric, matchers in selectors
        for label in re.findall(r"(\w+)\s*[=!]", matchers)
        if label not in STORED.get(metric, frozenset()) | ADDED
    ]
    wrong += [f"nothing has the label {label}" for group in grouped for label in group - known]
    kept = set().union(*grouped) if grouped else set()
    wrong += [f"the result has no label {label}" for label in shown - kept]
    return wrong if selectors else ["it names no metric"]


def test_every_query_names_series_and_labels_that_exist() -> None:
    wrong = [f"{name}: {text}" for name, *query in queries() for text in problems(*query)]

    assert queries()
    assert not wrong


def test_a_wrong_query_would_be_noticed() -> None:
    assert problems("rate(endcap_lost_total[5m])", "") == ["no process has endcap_lost_total"]
    where = 'endcap_trainer_runs_total{colour="red"}'
    assert problems(where, "") == ["endcap_trainer_runs_total has no label colour"]
    assert problems("sum by (step) (endcap_trainer_runs_total)", "{{outcome}}") == [
        "nothing has the label step",
        "the result has no label outcome",
    ]


def test_variables_are_values_of_labels_that_exist() -> None:
    variables = [each for board in DASHBOARDS for each in board.variables]

    for name, query in variables:
        metric, label = re.fullmatch(r"label_values\((\w+), (\w+)\)", query).groups()  # type: ignore[union-attr]
        assert label in STORED[metric] | ADDED
        assert any(f"${name}" in expression for _, expression, _ in queries())
    assert {name for _, expression, _ in queries() for name in re.findall(r"\$([a-z]+)", expression)} == {
        name for name, _ in variables
    }


def test_panels_do_not_overlap_and_say_their_unit() -> None:
    for board in (json.loads(content) for content in documents().values()):
        cells = [
            (x, y)
            for panel in board["panels"]
            for x in range(panel["gridPos"]["x"], panel["gridPos"]["x"] + panel["gridPos"]["w"])
            for y in range(panel["gridPos"]["y"], panel["gridPos"]["y"] + panel["gridPos"]["h"])
        ]
        assert len(cells) == len(set(cells))
        assert max(x for x, _ in cells) < 24
        assert len({panel["id"] for panel in board["panels"]}) == len(board["panels"])


def test_the_committed_dashboards_are_those_of_the_code() -> None:
    committed = {path.relative_to(ROOT): path.read_bytes() for path in (ROOT / FOLDER).glob("*.json")}

    assert committed == documents(), "run `make contracts` and commit the change"


def test_prometheus_asks_every_process_under_the_name_of_its_kind() -> None:
    configuration = yaml.safe_load((ROOT / "deploy/prometheus/prometheus.yml").read_text())
    jobs = {
        job["job_name"]: target
        for job in configuration["scrape_configs"]
        for static in job["static_configs"]
        for target in static["targets"]
    }
    ports = Ports.usual({})

    assert jobs == {
        f"endcap-{program.name}": f"{program.name}:{probe_port(ports, program.name)}"
        for program in programs()
    }


def test_prometheus_accepts_every_query_and_its_own_configuration(promtool: Path, tmp_path: Path) -> None:
    """The queries are checked as recording rules, with values for Grafana's variables."""
    rules = [
        {"record": f"endcap:query{number}", "expr": re.sub(r"\$[a-z]+", ".*", at_once(expression))}
        for number, (_, expression, _) in enumerate(queries())
    ]
    file = tmp_path / "queries.yml"
    file.write_text(yaml.safe_dump({"groups": [{"name": "queries", "rules": rules}]}))

    for words in (["check", "rules", str(file)], ["check", "config", "prometheus.yml"]):
        done = subprocess.run(
            [promtool, *words],
            cwd=ROOT / "deploy/prometheus",
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr


def at_once(expression: str) -> str:
    return expression.replace("$__rate_interval", "1m")
