"""Lines of a file → whole orders, each with its lines counted, its content's hash and its event.

An order comes in one file. The hash tells whether an order that comes again is the same: then it adds
nothing, else its rows are refused, because its event has been published and its lines counted.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import groupby
from typing import NamedTuple

import orjson

from services.sync.domain.rows import CANCELLATION, OrderRow
from shared.events import OrderCancelled, OrderLine, OrderPlaced, derived_id

MOST_LINES = 5_000
MOST_BYTES = 800_000
"""Lines and bytes of one order, so that its event stays below what a Kafka record may hold."""

TOO_LARGE = f"order %s is larger than {MOST_LINES:,} lines or {MOST_BYTES:,} bytes; split it"


class StagedLine(NamedTuple):
    """An order line and where in the file it stands."""

    file_line: int
    row: OrderRow


class RefusedLine(NamedTuple):
    """A line that can't be taken: (line of the file, code, sentence)."""

    file_line: int
    code: str
    detail: str


@dataclass(frozen=True, slots=True)
class Item:
    """One line of an order; `n` counts the lines of the same product in the order from 1."""

    row: OrderRow
    n: int


@dataclass(frozen=True, slots=True)
class Order:
    """An order, or a cancellation, with all its lines in one file.

    `content` is the sha256 of everything that it says, whatever the order of its lines in the file.
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

    def event(self, tenant: str, source: str, *, names_its_order: bool) -> OrderPlaced | OrderCancelled:
        """What goes to Kafka. A cancellation may name by its id the order that it cancels."""
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
            "lines": tuple(map(_line, self.items)),
            "source": source,
            "historical": True,
        }
        if self.kind == CANCELLATION:
            return OrderCancelled(**values, cancels=self.order_id if names_its_order else None)
        return OrderPlaced(**values)


def _line(item: Item) -> OrderLine:
    row = item.row
    return OrderLine(
        item_id=row.product_id,
        n=item.n,
        name=row.product_name,
        category=row.category,
        quantity=row.quantity,
        price=row.price,
    )


def orders_in(lines: Iterable[StagedLine]) -> Iterator[tuple[Order | None, list[RefusedLine]]]:
    """Group lines that come sorted by kind and order; each order with the lines it had to refuse."""
    for _, group in groupby(lines, lambda line: (line.row.kind, line.row.order_id)):
        yield _assembled(list(group))


def _assembled(lines: list[StagedLine]) -> tuple[Order | None, list[RefusedLine]]:
    first = lines[0].row
    said = sorted(orjson.dumps((*line.row[:2], *line.row[3:])) for line in lines)
    # Each line of the event has some 60 bytes of names that the row has not.
    if len(lines) > MOST_LINES or sum(map(len, said)) + 60 * len(said) > MOST_BYTES:
        sentence = TOO_LARGE % first.order_id
        return None, [RefusedLine(line.file_line, "order_too_large", sentence) for line in lines]
    lines.sort(key=_place)
    taken, refused = _consistent(lines)
    rows = [line.row for line in taken]
    return (
        Order(
            kind=first.kind,
            order_id=first.order_id,
            user_id=_first([row.user_id for row in rows]),
            customer_name=_first([row.customer_name for row in rows]),
            city=_first([row.city for row in rows]),
            province=_first([row.province for row in rows]),
            country=_first([row.country for row in rows]),
            currency=_first([row.currency for row in rows]),
            ordered_at=min(row.ordered_at for row in rows),
            content=hashlib.sha256(b"\n".join(said)).digest(),
            items=tuple(_counted(rows)),
            file_lines=tuple(line.file_line for line in taken),
        ),
        refused,
    )


def _place(line: StagedLine) -> tuple[int, int]:
    position = line.row.position
    return (line.file_line if position is None else position, line.file_line)


def _consistent(lines: list[StagedLine]) -> tuple[list[StagedLine], list[RefusedLine]]:
    """Leave out lines that stand in the order twice, and those that name another customer."""
    taken: list[StagedLine] = []
    refused: list[RefusedLine] = []
    positions: set[int | None] = set()
    user_id = _first([line.row.user_id for line in lines])
    for line in lines:
        row = line.row
        if row.position is not None and row.position in positions:
            sentence = f"line {row.position} of order {row.order_id} stands in the file twice"
            refused.append(RefusedLine(line.file_line, "line_repeated", sentence))
        elif row.user_id not in {None, user_id}:
            sentence = f"order {row.order_id} is of user {user_id} on another line"
            refused.append(RefusedLine(line.file_line, "order_inconsistent", sentence))
        else:
            taken.append(line)
            positions.add(row.position)
    return taken, refused


def _counted(rows: list[OrderRow]) -> Iterator[Item]:
    counts: dict[str, int] = {}
    for row in rows:
        n = counts[row.product_id] = counts.get(row.product_id, 0) + 1
        yield Item(row, n)


def _first(values: Sequence[str | None]) -> str | None:
    return next((value for value in values if value is not None), None)


def changed(order: Order) -> list[RefusedLine]:
    """Refuse every line of an order that came before with another content."""
    sentence = (
        f"{order.kind} {order.order_id} was imported before with other content; an order comes in one file"
    )
    return [RefusedLine(line, "order_changed", sentence) for line in order.file_lines]
