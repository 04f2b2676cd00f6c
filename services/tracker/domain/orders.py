"""Convert orders of the shop into purchases."""

from __future__ import annotations

from datetime import datetime

from shared.events import InteractionRecorded, OrderPlaced, line_id


def purchases(order: OrderPlaced, received_at: datetime) -> list[InteractionRecorded]:
    """Return a purchase for each line, under the id that the line has in every source.

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
    ]
