"""Metric attribution: how events are summed, and to which source each is attributed."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from shared.errors import Permanent
from shared.events import canonical_type
from shared.events.field_aliases import normalized_name

UNDEFINED = "SOURCE_NAME_UNDEFINED"
MAX_SOURCES = 100
"""Sources of a metric attribution; a limit of Amazon Personalize."""
BUCKET_SECONDS = 15 * 60
MAX_ABSOLUTE_VALUE = 3.4028235e38
"""The largest float32, so that float64 sums of such numbers stay finite."""

_SUM = re.compile(
    r"\s*SUM\s*\(\s*(ITEMS|INTERACTIONS)\s*\.\s*([A-Za-z_][A-Za-z0-9_]*)\s*\)\s*", re.IGNORECASE
)
_COUNT = re.compile(r"\s*SAMPLECOUNT\s*\(\s*\)\s*", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Metric:
    """One metric: the number of events of a type, or the sum of a column over them."""

    name: str
    event_type: str
    function: Literal["samplecount", "sum"]
    dataset: Literal["ITEMS", "INTERACTIONS"] | None = None
    column: str = ""

    @classmethod
    def parse(cls, name: str, event_type: str, expression: str) -> Metric:
        """Parse an expression; raise Permanent for one that is not supported."""
        if _COUNT.fullmatch(expression):
            return cls(name, event_type, "samplecount")
        match = _SUM.fullmatch(expression)
        if match is None:
            raise Permanent(
                f"The metric {name} has the expression {expression!r}; there are SUM(Items.COLUMN), "
                "SUM(Interactions.COLUMN) and SAMPLECOUNT()."
            )
        dataset: Literal["ITEMS", "INTERACTIONS"] = "ITEMS" if match[1].upper() == "ITEMS" else "INTERACTIONS"
        return cls(name, event_type, "sum", dataset, match[2])

    @property
    def canonical(self) -> str:
        """Return the event type as it is stored with events."""
        return canonical_type(self.event_type)


Key = tuple[str, str]
"""(metric, source)."""


@dataclass
class MetricAggregator:
    """The sums of the events of a bucket, by metric and source.

    `values` are final sums. For metrics that sum a column of the items, `items` counts the events of each
    item. `sources` are known sources; when there are 100, events of further sources are attributed to
    UNDEFINED. `origin` returns the campaign or recommender that issued a recommendationId.
    """

    metrics: tuple[Metric, ...]
    sources: set[str]
    origin: Callable[[str], str | None] = lambda _: None
    events: int = 0
    values: dict[Key, float] = field(default_factory=lambda: defaultdict(float))
    items: dict[Key, Counter[str]] = field(default_factory=lambda: defaultdict(Counter))

    def add(self, events: Iterable[Mapping[str, Any]]) -> None:
        """Add events, which are rows of the query `attributed_events`."""
        for event in events:
            self.events += 1
            source = self._source(event["attribution_source"], event["recommendation_id"])
            for metric in self.metrics:
                if metric.canonical == event["event_type"]:
                    self._count(metric, source, event)

    def _count(self, metric: Metric, source: str, event: Mapping[str, Any]) -> None:
        key = metric.name, source
        if metric.dataset == "ITEMS":
            if event["item_id"] is not None:
                self.items[key][event["item_id"]] += 1
            return
        amount = 1.0 if metric.dataset is None else parse_number(_value(metric.column, event))
        if amount is not None:
            self.values[key] += amount

    def _source(self, explicit: str | None, recommendation_id: str | None) -> str:
        source = explicit or (self.origin(recommendation_id) if recommendation_id else None) or UNDEFINED
        if source not in self.sources:
            if len(self.sources) >= MAX_SOURCES:
                return UNDEFINED
            self.sources.add(source)
        return source


def metric_sums(aggregator: MetricAggregator, reported: Mapping[Key, float]) -> Iterator[dict[str, Any]]:
    """Yield each metric and source with its sum, also if its events no longer exist.

    A sum has either a `value`, or a `column` of the items with the number of events by item. `reported` is
    the value in the last report.
    """
    by_name = {metric.name: metric for metric in aggregator.metrics}
    for key in sorted(aggregator.values.keys() | aggregator.items.keys() | reported.keys()):
        metric = by_name.get(key[0])
        if metric is None:
            continue
        yield {
            "metric": metric.name,
            "event_type": metric.event_type,
            "function": metric.function,
            "source": key[1],
            "reported": reported.get(key, 0.0),
            "value": aggregator.values.get(key, 0.0),
            "column": metric.column if metric.dataset == "ITEMS" else "",
            "items": dict(aggregator.items.get(key, {})),
        }


def _value(column: str, event: Mapping[str, Any]) -> Any:
    key = normalized_name(column)
    if key == "eventvalue":
        return event["value"]
    properties = event["properties"] or {}
    return next((value for name, value in properties.items() if normalized_name(name) == key), None)


def parse_number(value: Any) -> float | None:
    """Return a number, which may be written as text; None for anything else, or above MAX_ABSOLUTE_VALUE."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        parsed = float(value)
    except (ValueError, OverflowError):
        return None
    return parsed if abs(parsed) <= MAX_ABSOLUTE_VALUE else None
