"""Selections of order lines, by which reports are computed: a period, categories, a place, an order source.

The names of periods are those that dashboards of existing shops send as `time_filter`. Days are UTC's.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import asdict, dataclass, fields
from datetime import UTC, date, datetime, timedelta
from typing import Any, Final, Self

import orjson

ALL: Final = "all"
ORDER_SOURCES: Final = ("oe", "pos", "historical")
"""Online orders of a followed source, orders of stores, orders of imported files."""

MAX_CATEGORIES: Final = 50
"""Categories of one selection; arbitrary."""

_DAYS: Final = {
    "today": 0,
    "7days": 7,
    "30days": 30,
    "90days": 90,
    "6months": 182,
    "1year": 365,
    "2years": 730,
    "3years": 1095,
}
PERIODS: Final = (*_DAYS, "mtd", ALL)
_RANGE: Final = re.compile(r"(\d{4}-\d{2}-\d{2}):(\d{4}-\d{2}-\d{2})")


@dataclass(frozen=True, slots=True)
class Thresholds:
    """Limits of the customer segments: recency in days, number of orders, spending."""

    champion_r: int = 30
    champion_f: int = 5
    champion_m: float = 50_000
    loyal_r: int = 60
    loyal_f: int = 3
    loyal_m: float = 20_000
    at_risk_r_min: int = 90
    at_risk_r_max: int = 180
    at_risk_f: int = 2
    hibernating_r: int = 180
    lost_r: int = 365


DEFAULT_THRESHOLDS: Final = Thresholds()


@dataclass(frozen=True, slots=True)
class Selection:
    """The order lines that a report covers. Texts are compared without case."""

    period: str = ALL
    categories: tuple[str, ...] = ()
    province: str | None = None
    city: str | None = None
    source: str | None = None
    thresholds: Thresholds = DEFAULT_THRESHOLDS
    delivered_only: bool = False

    @classmethod
    def of(
        cls,
        period: str | None = None,
        categories: str | None = None,
        province: str | None = None,
        city: str | None = None,
        source: str | None = None,
        thresholds: Thresholds = DEFAULT_THRESHOLDS,
    ) -> Self:
        """Return the selection of a request's parameters; `categories` are separated by commas.

        A period of an unknown name is `all`. Raises ValueError for a range whose dates are not dates, or that
        ends before it begins, for another source, and for too many categories.
        """
        names = {name for text in (categories or "").split(",") if (name := _folded(text))}
        if len(names) > MAX_CATEGORIES:
            raise ValueError(f"`category` has more than {MAX_CATEGORIES} names")
        folded_source = _folded(source)
        if folded_source not in {None, ALL, *ORDER_SOURCES}:
            raise ValueError(f"`order_source` is one of {', '.join(ORDER_SOURCES)}; left out for all")
        return cls(
            _period(period),
            tuple(sorted(names - {ALL})),
            _folded(province),
            _folded(city),
            None if folded_source == ALL else folded_source,
            thresholds,
        )

    @property
    def key(self) -> str:
        """Return a text by which the selection is stored: JSON of what differs from the default."""
        default = type(self)()
        changed = {
            field.name: getattr(self, field.name)
            for field in fields(self)
            if getattr(self, field.name) != getattr(default, field.name)
        }
        if "thresholds" in changed:
            changed["thresholds"] = asdict(self.thresholds)
        return orjson.dumps(changed, option=orjson.OPT_SORT_KEYS).decode()

    @classmethod
    def parsed(cls, key: str) -> Self:
        """Return the selection of a key."""
        values: dict[str, Any] = orjson.loads(key)
        if "categories" in values:
            values["categories"] = tuple(values["categories"])
        if "thresholds" in values:
            values["thresholds"] = Thresholds(**values["thresholds"])
        return cls(**values)

    def is_empty_in(self, names: Mapping[str, Collection[str]]) -> bool:
        """Return whether a shop with these names has no lines of the selection.

        `names` has the `categories`, `provinces` and `cities` of all lines, as they are compared.
        """
        chosen: dict[str, set[str | None]] = {
            "provinces": {self.province},
            "cities": {self.city},
            "categories": set(self.categories),
        }
        return any(any(texts) and texts.isdisjoint(names[name]) for name, texts in chosen.items())

    def days(self, today: date) -> tuple[date | None, date | None]:
        """Return the first and the last day, UTC, seen from a day; None where the period is open."""
        if (range_ := _RANGE.fullmatch(self.period)) is not None:
            return date.fromisoformat(range_[1]), date.fromisoformat(range_[2])
        if self.period == "mtd":
            return today.replace(day=1), None
        if self.period == ALL:
            return None, None
        return today - timedelta(days=_DAYS[self.period]), None


def usual_selections(categories: list[str]) -> list[Selection]:
    """Return the selections that are computed without being asked for, in this order.

    Every period of all orders first, which pages begin with; then every period of delivered orders, of each
    order source, and of each of these categories.
    """
    return [Selection(period) for period in PERIODS] + [
        selection
        for period in PERIODS
        for selection in (
            Selection(period, delivered_only=True),
            *(Selection(period, source=source) for source in ORDER_SOURCES),
            *(Selection.of(period, category) for category in categories if "," not in category),
        )
    ]


def thresholds_of(values: Mapping[str, float | None]) -> Thresholds:
    """Return the thresholds with these values; None stands for the default."""
    kinds: dict[str, Callable[[float], float]] = {
        field.name: float if field.name.endswith("_m") else int for field in fields(Thresholds)
    }
    return Thresholds(**{name: kinds[name](value) for name, value in values.items() if value is not None})  # type: ignore[arg-type]


def folded(text: str) -> str:
    """Return a text as it is compared."""
    return text.strip().casefold()


def _folded(text: str | None) -> str | None:
    return folded(text or "") or None


def _period(text: str | None) -> str:
    name = (text or ALL).strip()
    if (range_ := _RANGE.fullmatch(name)) is None:
        return name if name in PERIODS else ALL
    begin, end = (datetime.strptime(day, "%Y-%m-%d").replace(tzinfo=UTC) for day in range_.groups())
    if end < begin:
        raise ValueError("`time_filter` ends before it begins")
    return name
