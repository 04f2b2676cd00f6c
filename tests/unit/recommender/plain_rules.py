"""A slow and plain program for the rules of a placement, written from docs/placements.md alone."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from itertools import pairwise
from typing import Any, NamedTuple

from tests.unit.recommender.rule_worlds import NOON

Row = dict[str, Any]
CURRENT, VIEWED, BOUGHT = "i0", {"i1", "i2", "i3", "i7"}, {"i3", "i9"}
"""The requested item, and what the visitor viewed and purchased."""


class Item(NamedTuple):
    """An item with its columns, and those of the requested item."""

    item_id: str
    row: Row
    current: Row


def brands(row: Row) -> set[str]:
    return set((row.get("BRAND") or "").split("|")) - {""}


def price(item: Item, low: float, high: float) -> bool:
    return low <= item.row.get("PRICE", -1.0) < high


EXPRESSIONS: dict[str, Callable[[Item], bool]] = {
    'INCLUDE ItemID WHERE Items.BRAND IN ("acme", "bolt")': lambda i: bool(brands(i.row) & {"acme", "bolt"}),
    'EXCLUDE ItemID WHERE Items.BRAND = "acme"': lambda i: "acme" not in brands(i.row),
    "INCLUDE ItemID WHERE Items.PRICE < 10": lambda i: price(i, 0, 10),
    "EXCLUDE ItemID WHERE Items.PRICE >= 10 AND Items.PRICE < 30": lambda i: not price(i, 10, 30),
    'INCLUDE ItemID WHERE Items.ITEM_ID IN ("i4", "i5")': lambda i: i.item_id in {"i4", "i5"},
    'INCLUDE ItemID WHERE Interactions.EVENT_TYPE IN ("view")': lambda i: i.item_id in VIEWED,
    "EXCLUDE ItemID WHERE Interactions.EVENT_TYPE IN (*)": lambda i: i.item_id not in VIEWED | BOUGHT,
    "INCLUDE ItemID WHERE Items.BRAND IN CurrentItem.BRAND": lambda i: bool(
        brands(i.row) & brands(i.current)
    ),
    'INCLUDE ItemID WHERE Items.BRAND IN ("acme") IF CurrentUser.AGE > 18': lambda i: "acme" in brands(i.row),
    'INCLUDE ItemID WHERE Items.BRAND IN ("acme") IF CurrentUser.AGE < 18': lambda _: True,
}
"""Expressions, and whether an item matches them for a user of 40 years."""


def now_applies(rule: Row) -> bool:
    return not (rule.get("starts_at", NOON) > NOON or rule.get("ends_at", NOON + timedelta(1)) <= NOON)


class PlainRules:
    """The rules one after the other, without any index."""

    def __init__(self, rules: Row, filters: list[str], rows: dict[str, Row], limit: int) -> None:
        self.rules, self.filters, self.rows, self.limit = rules, filters, rows, limit
        self.pins = self._pins()

    def matches(self, where: str, item: str) -> bool:
        return EXPRESSIONS[where](Item(item, self.rows.get(item, {}), self.rows.get(CURRENT, {})))

    def hidden(self, item: str) -> bool:
        return any(
            item in hide["item_ids"] or (hide["where"] is not None and self.matches(hide["where"], item))
            for hide in self.rules["hide"]
            if now_applies(hide)
        )

    def _pins(self) -> dict[int, str]:
        wanted: dict[str, int] = {}
        for pin in self.rules["pins"]:
            if now_applies(pin) and pin["item_id"] != "gone" and not self.hidden(pin["item_id"]):
                wanted.setdefault(pin["item_id"], pin["position"])
        taken: dict[int, str] = {}
        for item, wish in sorted(wanted.items(), key=lambda pair: pair[1]):
            position = wish
            while position in taken:
                position += 1
            if position <= self.limit:
                taken[position] = item
        return taken

    def reason(self, item: str, impressions: dict[str, int], answers: dict[str, int]) -> str | None:
        if not all(self.matches(where, item) for where in self.filters):
            return "filter"
        if self.hidden(item):
            return "hide"
        fatigue = self.rules["fatigue"]
        if fatigue and impressions.get(item, 0) >= fatigue["impressions"]:
            return "fatigue"
        for quota in self.rules["quotas"]:
            covers = not quota["item_ids"] or item in quota["item_ids"]
            if covers and answers.get(item, 0) >= quota["per_day"]:
                return "quota"
        return None

    def boosted(self, candidates: list[tuple[str, str]]) -> list[tuple[str, str]]:
        result = list(candidates)
        for strategy in {strategy for _, strategy in candidates}:
            own = [item for item, of in candidates if of == strategy]
            scores = {item: 1 / rank * self.factor(item) for rank, item in enumerate(own, 1)}
            exact = {item: rank / self.factor(item) for rank, item in enumerate(own, 1)}
            order = sorted(own, key=lambda item: exact[item])
            assert all(scores[a] >= scores[b] - 1e-12 for a, b in pairwise(order))
            places = [n for n, (_, of) in enumerate(candidates) if of == strategy]
            for place, item in zip(places, order, strict=True):
                result[place] = (item, strategy)
        return result

    def factor(self, item: str) -> float:
        factor = 1.0
        for boost in self.rules["boosts"]:
            if now_applies(boost) and self.matches(boost["where"], item):
                factor *= boost["factor"]
        return factor

    def values(self, column: str, item: str) -> set[Any]:
        row = self.rows.get(item, {})
        if column == "BRAND":
            return brands(row)
        return {row["PRICE"]} if "PRICE" in row else set()

    def capped(self, items: list[str]) -> list[str]:
        for cap in self.rules["caps"]:
            counts: dict[Any, int] = {}
            for item in self.pins.values():
                for value in self.values(cap["column"], item):
                    counts[value] = counts.get(value, 0) + 1
            kept = []
            for item in items:
                own = self.values(cap["column"], item)
                if item not in self.pins.values():
                    if [value for value in own if counts.get(value, 0) >= cap["most"]]:
                        continue
                    for value in own:
                        counts[value] = counts.get(value, 0) + 1
                kept.append(item)
            items = kept
        return items

    def promoted(self, items: list[str]) -> list[str]:
        free, chosen = self.limit - len(self.pins), list[str]()
        for promotion in self.rules["promotions"]:
            share = int(self.limit * promotion["percent"] / 100 + 0.5) if now_applies(promotion) else 0
            matching = [
                item
                for item in items
                if self.matches(promotion["where"], item) and item not in [*chosen, *self.pins.values()]
            ]
            chosen += matching[: min(share, free - len(chosen))]
        return chosen

    def pinned(self, items: list[str]) -> list[str]:
        result, rest, pins = [], list(items), dict(self.pins)
        while rest or pins:
            position = len(result) + 1
            if position in pins:
                result.append(pins.pop(position))
            elif rest:
                result.append(rest.pop(0))
            else:
                result += [pins[key] for key in sorted(pins)]
                break
        return result[: self.limit]
