"""Versions of an order that its source follows: what a newer version changes, and the events that say so.

A line keeps its number `n` for ever, so that its purchase has one id. What disappears from an order, is
cancelled, refunded or returned, stays as a line of which nothing remains.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

from services.sync.domain.records import LineRecord, OrderRecord, ReturnRecord
from shared.events import OrderCancelled, OrderLine, OrderPlaced, OrderRefunded, derived_id

HISTORICAL_AFTER = timedelta(days=1)
"""Orders that arrive later than this are history: no outcome of an experiment. Arbitrary."""


@dataclass(frozen=True, slots=True)
class FollowedLine:
    """A line of a followed order. `remaining` is the quantity that stays bought."""

    product_id: str
    n: int
    key: str | None
    name: str | None
    category: str | None
    quantity: float
    price: float | None
    remaining: float


@dataclass(frozen=True, slots=True)
class FollowedOrder:
    """An order as its newest version says it is. `changed_at` is the source's time of that version."""

    order_id: str
    ordered_at: datetime
    revision: int = 0
    changed_at: datetime | None = None
    status: str | None = None
    bought: bool = True
    user_id: str | None = None
    customer_name: str | None = None
    city: str | None = None
    province: str | None = None
    country: str | None = None
    currency: str | None = None
    lines: tuple[FollowedLine, ...] = ()


@dataclass(frozen=True, slots=True)
class Revision:
    """A changed order, the lines that are bought (again), and those of which less remains than before."""

    order: FollowedOrder
    is_new: bool
    cancelled: bool = False
    bought: tuple[FollowedLine, ...] = ()
    undone: tuple[tuple[FollowedLine, float], ...] = field(default=())
    """Lines, and how much less of each remains."""

    def events(
        self, tenant: str, source: str, at: datetime, received_at: datetime
    ) -> list[OrderPlaced | OrderCancelled | OrderRefunded]:
        """Return the events of the change; `at` is the time of cancellations and refunds."""
        order = self.order
        common: dict[str, Any] = {
            "tenant": tenant,
            "order_id": order.order_id,
            "user_id": order.user_id,
            "customer_name": order.customer_name,
            "city": order.city,
            "province": order.province,
            "country": order.country,
            "currency": order.currency,
            "source": source,
            "historical": received_at - order.ordered_at > HISTORICAL_AFTER,
            "revision": order.revision,
        }
        events: list[OrderPlaced | OrderCancelled | OrderRefunded] = []
        if self.is_new or self.bought:
            lines = order.lines if self.is_new else self.bought
            version = [] if self.is_new else [order.revision]
            placed = [_line(line, line.quantity if self.is_new else line.remaining) for line in lines]
            events.append(
                OrderPlaced(
                    event_id=derived_id(tenant, order.order_id, "order", *version),
                    occurred_at=order.ordered_at,
                    lines=tuple(placed),
                    **common,
                )
            )
        if self.undone:
            undone = {
                **common,
                "occurred_at": at,
                "placed_at": order.ordered_at,
                "lines": tuple(_line(line, -less) for line, less in self.undone),
            }
            kind = "cancellation" if self.cancelled else "refund"
            undone["event_id"] = derived_id(tenant, order.order_id, kind, order.revision)
            events.append(
                OrderCancelled(cancels=order.order_id, **undone)
                if self.cancelled
                else OrderRefunded(refunds=order.order_id, **undone)
            )
        return events


def revise(
    stored: FollowedOrder | None, record: OrderRecord, returned: Mapping[str, float]
) -> Revision | FollowedOrder | None:
    """Return the change that a version makes, or the order alone if only its time changes, or None.

    `returned` are the returned quantities by `return_line`.
    """
    is_old = stored is not None and is_older(record, stored)
    if stored is not None and is_old:
        return revise_returns(stored, returned)
    lines = _merged_lines(stored.lines if stored else (), record, returned)
    updated = FollowedOrder(
        order_id=record.order_id,
        ordered_at=stored.ordered_at if stored else record.ordered_at,
        revision=stored.revision if stored else 0,
        changed_at=record.updated_at or (stored.changed_at if stored else None),
        status=record.status,
        bought=record.bought,
        user_id=record.user_id or (stored.user_id if stored else None),
        **{
            name: getattr(record, name) or (getattr(stored, name) if stored else None)
            for name in ("customer_name", "city", "province", "country", "currency")
        },
        lines=lines,
    )
    return _changed(stored, updated, cancelled=record.cancelled)


def revise_returns(stored: FollowedOrder, returned: Mapping[str, float]) -> Revision | None:
    """Return the change that further returns make, or None."""
    lines = tuple(
        replace(line, remaining=min(line.remaining, _remaining(line.quantity, line, returned)))
        for line in stored.lines
    )
    revision = _changed(stored, replace(stored, lines=lines), cancelled=False)
    return revision if isinstance(revision, Revision) else None


def is_older(record: OrderRecord, stored: FollowedOrder) -> bool:
    """Return whether a version is older than the stored one: a retry of an old body, or one out of order."""
    return (
        record.updated_at is not None
        and stored.changed_at is not None
        and record.updated_at < stored.changed_at
    )


def return_line(entry: ReturnRecord) -> str:
    """Return the key of the line of a return."""
    return f"key:{entry.line_key}" if entry.line_key else f"item:{entry.product_id or ''}"


def _changed(
    stored: FollowedOrder | None, updated: FollowedOrder, *, cancelled: bool
) -> Revision | FollowedOrder | None:
    if stored is None:
        return Revision(updated, is_new=True, bought=updated.lines)
    if replace(updated, changed_at=stored.changed_at) == stored:
        return None if updated.changed_at == stored.changed_at else updated
    updated = replace(updated, revision=stored.revision + 1)
    before = {(line.product_id, line.n): line.remaining for line in stored.lines}
    bought, undone = [], []
    for line in updated.lines:
        remained = before.get((line.product_id, line.n), 0.0)
        if remained <= 0 < line.remaining:
            bought.append(line)
        elif line.remaining < remained:
            undone.append((line, remained - line.remaining))
    return Revision(updated, is_new=False, cancelled=cancelled, bought=tuple(bought), undone=tuple(undone))


def _merged_lines(
    stored: Sequence[FollowedLine], record: OrderRecord, returned: Mapping[str, float]
) -> tuple[FollowedLine, ...]:
    """Return the stored lines as the record has them, with those that it adds behind them."""
    unmatched = list(stored)
    counts: dict[str, int] = {}
    for line in stored:
        counts[line.product_id] = max(counts.get(line.product_id, 0), line.n)
    matched: dict[tuple[str, int], FollowedLine] = {}
    added: list[FollowedLine] = []
    seen: dict[str, int] = {}
    places: dict[str, int] = {}
    for place, entry in enumerate(record.lines):
        nth = places[entry.product_id] = places.get(entry.product_id, 0) + 1
        key = entry.key or f"{entry.product_id}#{nth}"
        if seen.setdefault(key, place) != place:
            continue  # the same line twice
        known = _match(unmatched, entry, key)
        if known is not None:
            unmatched.remove(known)
            matched[known.product_id, known.n] = _line_of(entry, key, known.n, record, returned)
        else:
            n = counts[entry.product_id] = counts.get(entry.product_id, 0) + 1
            added.append(_line_of(entry, key, n, record, returned))
    # A version without lines says nothing about them; one with other lines has taken these out.
    kept = [
        replace(line, remaining=0.0 if record.lines or not record.bought else line.remaining)
        for line in unmatched
    ]
    gone = {(line.product_id, line.n): line for line in kept}
    return (*((matched | gone)[line.product_id, line.n] for line in stored), *added)


def _match(lines: Sequence[FollowedLine], entry: LineRecord, key: str) -> FollowedLine | None:
    same = [line for line in lines if line.product_id == entry.product_id]
    by_key = next((line for line in same if line.key == key), None)
    return by_key or next((line for line in same if line.key is None), None)


def _line_of(
    entry: LineRecord, key: str, n: int, record: OrderRecord, returned: Mapping[str, float]
) -> FollowedLine:
    quantity = entry.quantity if entry.quantity is not None else 1.0
    line = FollowedLine(
        entry.product_id, n, key, entry.name, entry.category, quantity, entry.price, remaining=0.0
    )
    if not record.bought:
        return line
    remaining = _remaining(quantity, line, returned)
    return replace(line, remaining=remaining if entry.kept is None else max(0.0, min(remaining, entry.kept)))


def _remaining(quantity: float, line: FollowedLine, returned: Mapping[str, float]) -> float:
    gone = returned.get(f"key:{line.key}", 0.0) + (
        returned.get(f"item:{line.product_id}", 0.0) if line.n == 1 else 0.0
    )
    return max(0.0, quantity - gone)


def _line(line: FollowedLine, quantity: float) -> OrderLine:
    return OrderLine(
        item_id=line.product_id,
        n=line.n,
        name=line.name,
        category=line.category,
        quantity=quantity,
        price=line.price,
        remaining=line.remaining,
    )
