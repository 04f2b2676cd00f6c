"""Convert orders of the shop into purchases, and find the purchases that cancellations and refunds undo."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import NamedTuple

from shared.events import (
    Claim,
    InteractionRecorded,
    OrderCancelled,
    OrderLine,
    OrderPlaced,
    OrderRefunded,
    line_id,
)


class LineState(NamedTuple):
    """The state of an order line in a version of its order. The highest revision counts."""

    tenant: str
    event_id: str
    revision: int
    returned: bool


def purchases(order: OrderPlaced, received_at: datetime) -> list[InteractionRecorded]:
    """Return a purchase for each line that is bought, under the id that the line has in every source.

    The lines of a guest get the session `order:<id>`. The time of the order is kept as the shop states it.
    """
    session_id = None if order.user_id else order.subject[:256]
    return [
        InteractionRecorded(
            event_id=line_id(order.tenant, order.order_id, line, "purchase"),
            tenant=order.tenant,
            occurred_at=order.occurred_at,
            received_at=received_at,
            user_id=order.user_id,
            session_id=session_id,
            event_type="purchase",
            item_id=line.item_id,
            quantity=line.quantity,
            price=line.price,
            order_id=order.order_id,
            city=order.city,
            province=order.province,
            country=order.country,
            source="order",
            historical=order.historical,
        )
        for line in order.lines
        if not _is_returned(line)
    ]


def line_states(orders: Iterable[OrderPlaced | OrderCancelled | OrderRefunded]) -> Iterator[LineState]:
    """Yield the state of each line that a followed order names: returned, or bought again.

    The first version of an order is left out unless it has returned lines.
    """
    for order in orders:
        for line in order.lines:
            if line.remaining is None or (order.revision == 0 and not _is_returned(line)):
                continue
            yield LineState(
                order.tenant,
                line_id(order.tenant, _order_id(order), line, "purchase"),
                order.revision,
                _is_returned(line),
            )


def returns(order: OrderCancelled | OrderRefunded, received_at: datetime) -> list[InteractionRecorded]:
    """Return a correction for each purchase that is undone: a cancellation or a refund in its place.

    The claim of each correction is the purchase as `purchases` returns it.
    """
    if order.placed_at is None:
        return []
    order_id = _order_id(order)
    session_id = None if order.user_id else f"order:{order_id}"[:256]
    return [
        InteractionRecorded(
            event_id=line_id(order.tenant, order_id, line, "purchase"),
            tenant=order.tenant,
            occurred_at=order.occurred_at,
            received_at=received_at,
            user_id=order.user_id,
            session_id=session_id,
            event_type="cancel" if isinstance(order, OrderCancelled) else "refund",
            item_id=line.item_id,
            quantity=line.quantity,
            price=line.price,
            order_id=order_id,
            source="order",
            historical=order.historical,
            replaces=Claim(
                user_id=order.user_id,
                session_id=session_id,
                event_type="purchase",
                item_id=line.item_id,
                occurred_at=order.placed_at,
            ),
        )
        for line in order.lines
        if _is_returned(line)
    ]


def _is_returned(line: OrderLine) -> bool:
    return line.remaining is not None and line.remaining <= 0


def _order_id(order: OrderPlaced | OrderCancelled | OrderRefunded) -> str:
    """Return the id of the order that the event is about."""
    match order:
        case OrderCancelled():
            return order.cancels or order.order_id
        case OrderRefunded():
            return order.refunds or order.order_id
        case _:
            return order.order_id
