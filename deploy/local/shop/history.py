"""A year in the sample shop: orders, cancellations, and events of the storefront."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import accumulate
from random import Random

from deploy.local.shop.assortment import CATEGORIES, Category, Item
from deploy.local.shop.customers import Customer

_BEGIN = datetime(2025, 11, 1, tzinfo=UTC)
_DAYS = 365
END = _BEGIN + timedelta(days=_DAYS)
"""The end of the year of orders."""

_BROWSED_DAYS = 75

_GUEST_ORDERS = 1_500
_CANCELLED = 0.02
_REPURCHASE_DAYS = 38
_MAX_REPURCHASES = 4


@dataclass(frozen=True)
class OrderLine:
    """One line of an order. For guests, the row has neither a user id nor a name."""

    order_id: str
    line: int
    customer: Customer
    is_guest: bool
    ordered_at: datetime
    item: Item
    quantity: int
    kind: str = "order"

    def row(self) -> dict[str, str]:
        """Return the row of orders.csv."""
        return {
            "order_id": self.order_id,
            "line": str(self.line),
            "user_id": "" if self.is_guest else self.customer.user_id,
            "customer_name": "" if self.is_guest else self.customer.name,
            "ordered_at": self.ordered_at.isoformat(),
            "product_id": self.item.item_id,
            "product_name": self.item.name,
            "category": self.item.category.name,
            "quantity": str(self.quantity),
            "price": f"{self.item.price:.2f}",
            "currency": "EUR",
            "city": self.customer.city,
            "province": self.customer.province,
            "country": self.customer.country,
            "kind": self.kind,
        }


@dataclass(frozen=True)
class Event:
    """One event of the storefront."""

    user_id: str
    session_id: str
    event_type: str
    item_id: str
    timestamp: datetime

    def row(self) -> dict[str, str]:
        """Return the row of interactions.csv."""
        return {
            "user_id": self.user_id,
            "session_id": self.session_id,
            "event_type": self.event_type,
            "item_id": self.item_id,
            "timestamp": self.timestamp.isoformat(),
            "value": "",
        }


class _ItemSampler:
    """Draws items of one category by popularity, and by the design and budget of the customer."""

    def __init__(self, items: list[Item]) -> None:
        self._items = items
        self._weights = list(accumulate(item.popularity for item in items))
        self._by_design: dict[str, list[Item]] = defaultdict(list)
        for item in items:
            self._by_design[item.design].append(item)

    def draw(self, random: Random, customer: Customer, design: str, time: datetime) -> Item | None:
        """Return that of three candidates whose price fits the budget best; None if none is on sale yet."""
        if random.random() < 0.55:
            items = self._by_design[design]
            candidates = random.choices(items, [item.popularity for item in items], k=3)
        else:
            candidates = random.choices(self._items, cum_weights=self._weights, k=3)
        on_sale = [item for item in candidates if item.created_at <= time]
        return min(on_sale, key=lambda item: _price_distance(item, customer), default=None)


def orders(random: Random, items: list[Item], people: list[Customer]) -> list[OrderLine]:
    """Return all order lines, including cancellations, sorted by time."""
    samplers = _samplers(items)
    placed = [line for person in people for line in _history(random, samplers, person)]
    guests = random.choices(people, k=_GUEST_ORDERS)
    placed += [
        line
        for person in guests
        for line in _order(random, samplers, person, _random_time(random), is_guest=True)
    ]
    placed.sort(key=lambda line: (line.ordered_at, line.customer.user_id, line.item.item_id))
    numbered = list(_numbered(placed))
    cancelled = [_cancelled(random, line) for line in numbered if random.random() < _CANCELLED]
    return sorted(numbered + cancelled, key=lambda line: (line.ordered_at, line.order_id, line.line))


def browsing(
    random: Random, items: list[Item], people: list[Customer], lines: list[OrderLine]
) -> list[Event]:
    """Return the events of the last weeks: those before orders, and visits without an order."""
    samplers = _samplers(items)
    begin = _BEGIN + timedelta(days=_DAYS - _BROWSED_DAYS)
    events: list[Event] = []
    for line in lines:
        if line.kind == "order" and not line.is_guest and line.ordered_at >= begin:
            events += _visit(random, samplers, line.customer, line.ordered_at, bought=line.item)
    for person in random.choices(people, k=3 * len(people)):
        time = begin + timedelta(days=random.random() * _BROWSED_DAYS)
        events += _visit(random, samplers, person, time, bought=None)
    return sorted(events, key=lambda event: (event.timestamp, event.session_id, event.item_id))


def _samplers(items: list[Item]) -> dict[str, _ItemSampler]:
    by_category: dict[str, list[Item]] = defaultdict(list)
    for item in items:
        by_category[item.category.name].append(item)
    return {name: _ItemSampler(category_items) for name, category_items in by_category.items()}


def _history(random: Random, samplers: dict[str, _ItemSampler], person: Customer) -> Iterator[OrderLine]:
    due: list[tuple[datetime, Item]] = []
    for time in sorted(_random_time(random) for _ in range(person.orders)):
        repurchased = [item for due_at, item in due if due_at <= time][:_MAX_REPURCHASES]
        due = [(due_at, item) for due_at, item in due if due_at > time]
        for line in _order(random, samplers, person, time, is_guest=False, repurchased=repurchased):
            yield line
            if line.item.category.consumable and random.random() < 0.7:
                days = random.gauss(_REPURCHASE_DAYS, 8)
                due.append((time + timedelta(days=days), line.item))


def _order(
    random: Random,
    samplers: dict[str, _ItemSampler],
    person: Customer,
    time: datetime,
    *,
    is_guest: bool,
    repurchased: list[Item] | None = None,
) -> Iterator[OrderLine]:
    """Yield the lines of a basket of one or two categories, mostly in one design."""
    chosen = {item.item_id: item for item in repurchased or []}
    design = random.choice(person.designs)
    weights = [
        taste * _season(category, time) for taste, category in zip(person.tastes, CATEGORIES, strict=True)
    ]
    for category in random.choices(CATEGORIES, weights, k=1 + (random.random() < 0.35)):
        for _ in range(1 + int(random.expovariate(0.75))):
            item = samplers[category.name].draw(random, person, design, time)
            if item:
                chosen[item.item_id] = item
    for item in chosen.values():
        quantity = 1 + int(random.expovariate(1.4))
        yield OrderLine("", 0, person, is_guest, time, item, quantity)


def _numbered(placed: list[OrderLine]) -> Iterator[OrderLine]:
    """Yield the lines with order ids in the order of time; the lines of an order share customer and time."""
    order, line = 10_000, 0
    previous: tuple[datetime, str, bool] | None = None
    for entry in placed:
        key = (entry.ordered_at, entry.customer.user_id, entry.is_guest)
        order, line = (order, line + 1) if key == previous else (order + 1, 1)
        previous = key
        yield OrderLine(
            f"o-{order}", line, entry.customer, entry.is_guest, entry.ordered_at, entry.item,
            entry.quantity,
        )  # fmt: skip


def _cancelled(random: Random, line: OrderLine) -> OrderLine:
    cancelled_at = line.ordered_at + timedelta(hours=random.uniform(1, 72))
    return OrderLine(
        line.order_id, line.line, line.customer, line.is_guest, cancelled_at.replace(microsecond=0),
        line.item, line.quantity, kind="cancellation",
    )  # fmt: skip


def _visit(
    random: Random,
    samplers: dict[str, _ItemSampler],
    person: Customer,
    end: datetime,
    *,
    bought: Item | None,
) -> Iterator[Event]:
    category = bought.category if bought else random.choices(CATEGORIES, person.tastes)[0]
    design = bought.design if bought else random.choice(person.designs)
    session = f"s-{random.getrandbits(48):012x}"
    time = end - timedelta(minutes=random.uniform(6, 25))
    seen = [
        samplers[category.name].draw(random, person, design, end)
        for _ in range(1 + int(random.expovariate(0.6)))
    ]
    for item in [*seen, bought]:
        if item is None:
            continue
        time = (time + timedelta(seconds=random.uniform(10, 90))).replace(microsecond=0)
        yield Event(person.user_id, session, "view", item.item_id, time)
        if item is bought or random.random() < 0.08:
            later = time + timedelta(seconds=8)
            yield Event(person.user_id, session, "add_to_cart", item.item_id, later)


def _random_time(random: Random) -> datetime:
    """Return a random time of the year, more often in the evening and in the weeks before Christmas."""
    day = random.uniform(0, _DAYS)
    if random.random() < 0.12:
        day = random.gauss(32, 12) % _DAYS
    hour = min(23.99, max(0, random.gauss(16.5, 4)))
    return _BEGIN + timedelta(days=int(day), seconds=int(hour * 3600))


def _season(category: Category, time: datetime) -> float:
    if category.peak is None:
        return 1
    distance = 2 * math.pi * (time.month - category.peak) / 12
    return math.exp(1.2 * math.cos(distance))


def _price_distance(item: Item, customer: Customer) -> float:
    return abs(math.log(item.price / (item.category.price * customer.budget)))
