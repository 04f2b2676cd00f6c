"""Panels and dashboards as Grafana's JSON (schema version 39, Grafana 11)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

WIDTH, HEIGHT, STAT_HEIGHT = 24, 8, 4
"""Columns of a dashboard, and rows of its panels."""

_SOURCE: Final = {"type": "prometheus", "uid": "${datasource}"}

Unit = Literal["short", "s", "ms", "bytes", "percentunit", "reqps", "ops", "dateTimeFromNow"]


@dataclass(frozen=True, slots=True)
class Query:
    """A PromQL expression, and the name of its series with labels in `{{}}`."""

    expression: str
    legend: str = ""


@dataclass(frozen=True, slots=True)
class Panel:
    """A chart, or one value (`stat`); `warning` is the value from which on a stat is red."""

    title: str
    queries: tuple[Query, ...]
    unit: Unit = "short"
    kind: Literal["timeseries", "stat"] = "timeseries"
    columns: int = 12
    about: str = ""
    warning: float | None = None
    is_low_bad: bool = False

    def document(self, number: int, x: int, y: int) -> dict[str, Any]:
        """Return the panel at a place of the grid."""
        height = STAT_HEIGHT if self.kind == "stat" else HEIGHT
        return {
            "id": number,
            "title": self.title,
            "description": self.about,
            "type": self.kind,
            "datasource": _SOURCE,
            "gridPos": {"h": height, "w": self.columns, "x": x, "y": y},
            "fieldConfig": {"defaults": self._defaults(), "overrides": []},
            "options": _OPTIONS[self.kind],
            "targets": [
                {
                    "refId": chr(ord("A") + position),
                    "datasource": _SOURCE,
                    "expr": query.expression,
                    "legendFormat": query.legend or "__auto",
                }
                for position, query in enumerate(self.queries)
            ],
        }

    def _defaults(self) -> dict[str, Any]:
        defaults: dict[str, Any] = {"unit": self.unit}
        if self.unit == "percentunit":
            defaults |= {"min": 0}
        if self.warning is not None:
            colours = ("red", "green") if self.is_low_bad else ("green", "red")
            steps = [{"color": colours[0], "value": None}, {"color": colours[1], "value": self.warning}]
            defaults |= {"thresholds": {"mode": "absolute", "steps": steps}}
        return defaults


_OPTIONS: Final[dict[str, dict[str, Any]]] = {
    "timeseries": {
        "legend": {"displayMode": "list", "placement": "bottom"},
        "tooltip": {"mode": "multi", "sort": "desc"},
    },
    "stat": {"colorMode": "value", "graphMode": "area", "reduceOptions": {"calcs": ["lastNotNull"]}},
}


@dataclass(frozen=True, slots=True)
class Dashboard:
    """Panels in rows from left to right. `variables` are PromQL `label_values(...)` by name."""

    uid: str
    title: str
    about: str
    panels: Sequence[Panel]
    variables: tuple[tuple[str, str], ...] = ()

    def document(self) -> dict[str, Any]:
        """Return the dashboard as Grafana imports it."""
        return {
            "uid": self.uid,
            "title": self.title,
            "description": self.about,
            "tags": ["endcap"],
            "schemaVersion": 39,
            "version": 1,
            "editable": True,
            "timezone": "utc",
            "refresh": "30s",
            "time": {"from": "now-6h", "to": "now"},
            "templating": {"list": [_DATASOURCE, *(_variable(*each) for each in self.variables)]},
            "links": [_LINK],
            "panels": self._placed(),
        }

    def _placed(self) -> list[dict[str, Any]]:
        placed = []
        x = y = height = 0
        for number, panel in enumerate(self.panels, start=1):
            if x + panel.columns > WIDTH:
                x, y = 0, y + height
            placed.append(panel.document(number, x, y))
            height = placed[-1]["gridPos"]["h"]
            x += panel.columns
        return placed


_DATASOURCE: Final = {
    "name": "datasource",
    "label": "Prometheus",
    "type": "datasource",
    "query": "prometheus",
    "current": {},
}
_LINK: Final = {
    "type": "dashboards",
    "title": "Endcap",
    "tags": ["endcap"],
    "asDropdown": True,
    "keepTime": True,
    "includeVars": False,
}


def _variable(name: str, query: str) -> dict[str, Any]:
    return {
        "name": name,
        "type": "query",
        "datasource": _SOURCE,
        "query": {"query": query, "refId": name},
        "definition": query,
        "refresh": 2,
        "includeAll": True,
        "multi": True,
        "current": {"text": ["All"], "value": ["$__all"]},
    }
