"""An order as Endcap receives it: one purchase event for each line."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from examples.shop.cart import Line, Totals


def purchase_events(
    order_id: str, lines: list[Line], user_id: str | None, session_id: str, ordered_at: datetime
) -> list[dict[str, Any]]:
    """Return the events of an order for `POST /v1/events`.

    Endcap derives their ids from the order and its items, so sending an order again changes nothing. A guest
    without a session, whose browser runs no scripts, gets the session `order:<id>`, as for imported orders.
    """
    visitor = {"session_id": session_id or f"order:{order_id}"} if session_id or not user_id else {}
    if user_id:
        visitor["user_id"] = user_id
    return [
        {
            "event_type": "purchase",
            "order_id": order_id,
            "item_id": line.product.item_id,
            "quantity": line.quantity,
            "price": line.product.price,
            "currency": line.product.currency,
            "timestamp": ordered_at.isoformat(),
            **visitor,
        }
        for line in lines
    ]


def order_summary(order_id: str, lines: list[Line], sums: Totals, session_id: str) -> dict[str, Any]:
    """Return what the confirmation needs to know, small enough for a cookie."""
    return {
        "id": order_id,
        "lines": [(line.product.item_id, line.quantity) for line in lines],
        "goods": sums.goods_text,
        "delivery": sums.delivery_text,
        "total": sums.text,
        "session": session_id,
    }
