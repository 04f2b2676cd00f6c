"""Orders of files: their lines, and the event of each."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from types import MappingProxyType
from typing import NamedTuple

from services.sync.domain.order_rows import CANCELLATION, OrderRow
from shared.events import OrderCancelled, OrderLine, OrderPlaced, derived_id


class StagedLine(NamedTuple):
    """An order line, its line in the file, and its ctid in the table of staged lines.

    `is_filled`: empty cells were filled from other rows of the order, and are not yet saved.
    """

    file_line: int
    row: OrderRow
    ctid: tuple[int, int] | None = None
    is_filled: bool = False


LineKey = tuple[str, str, int]
"""The id of an order, that of a product, and the number of the product's line in it."""


class Remains(NamedTuple):
    """The quantity that stays bought of a cancelled line; `placed_at` is None if its order is not known."""

    quantity: float
    placed_at: datetime | None


@dataclass(frozen=True, slots=True)
class Item:
    """One line of an order; `n` numbers the lines of the same product, from 1."""

    row: OrderRow
    n: int


@dataclass(frozen=True, slots=True)
class Order:
    """An order, or a cancellation, with all its lines in one file.

    `content` is the SHA-256 of its lines, which does not depend on their order, nor on the rows that have the
    cells of the whole order. `unfilled_content` is that of the rows as they are in the file, which earlier
    releases have stored. `filled_lines` are the lines with cells from other rows.
    """

    kind: str
    order_id: str
    user_id: str | None
    customer_name: str | None
    city: str | None
    province: str | None
    country: str | None
    currency: str | None
    ordered_at: datetime
    content: bytes
    items: tuple[Item, ...] = field(repr=False)
    file_lines: tuple[int, ...] = field(repr=False)
    unfilled_content: bytes = b""
    filled_lines: tuple[StagedLine, ...] = field(default=(), repr=False)

    def dated_by(self, received_at: datetime) -> Order:
        """Return the order with no time later than it was received, which erasures rely on."""
        times = [self.ordered_at, *(item.row.ordered_at for item in self.items)]
        if all(at is None or at <= received_at for at in times):
            return self
        items = tuple(
            item
            if item.row.ordered_at is None
            else replace(item, row=item.row._replace(ordered_at=min(item.row.ordered_at, received_at)))
            for item in self.items
        )
        return replace(self, ordered_at=min(self.ordered_at, received_at), items=items)

    def without_customer(self) -> Order:
        """Return the order as an erasure of its customer leaves it."""
        items = tuple(
            replace(item, row=item.row._replace(user_id=None, customer_name=None, city=None))
            for item in self.items
        )
        return replace(self, user_id=None, customer_name=None, city=None, items=items)

    def matches(self, content: bytes) -> bool:
        """Return whether a stored hash is that of this order."""
        return content in {self.content, self.unfilled_content}

    def event(
        self,
        tenant: str,
        source: str,
        *,
        names_cancelled_order: bool,
        remains: Mapping[LineKey, Remains] = MappingProxyType({}),
    ) -> OrderPlaced | OrderCancelled:
        """Return the event of the order; a cancellation may name its id as that of the cancelled order.

        `remains` has the lines of orders with a cancellation of the same id.
        """
        values = {
            "event_id": derived_id(tenant, self.order_id, self.kind),
            "tenant": tenant,
            "occurred_at": self.ordered_at,
            "order_id": self.order_id,
            "user_id": self.user_id,
            "customer_name": self.customer_name,
            "city": self.city,
            "province": self.province,
            "country": self.country,
            "currency": self.currency,
            "lines": tuple(_line(item, remains.get(self._key(item))) for item in self.items),
            "source": source,
            "historical": True,
        }
        if self.kind == CANCELLATION:
            placed_at = [known.placed_at for item in self.items if (known := remains.get(self._key(item)))]
            return OrderCancelled(
                **values,
                cancels=self.order_id if names_cancelled_order else None,
                placed_at=next(filter(None, placed_at), None),
                # A version of the order, so that what it cancels stays cancelled when the order comes later.
                revision=1 if placed_at else 0,
            )
        return OrderPlaced(**values)

    def _key(self, item: Item) -> LineKey:
        return self.order_id, item.row.product_id, item.n


def _line(item: Item, remains: Remains | None) -> OrderLine:
    row = item.row
    return OrderLine(
        item_id=row.product_id,
        n=item.n,
        name=row.product_name,
        category=row.category,
        quantity=row.quantity,
        price=row.price,
        remaining=None if remains is None else max(0.0, remains.quantity),
    )
