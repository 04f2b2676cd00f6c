"""Orders of an ERP with online orders and stores' orders, whose members have several names.

There are no customer records: a user is the phone and the name of an order. Times are naive and local; a date
of 1900 is unknown. Statuses change after the order. Ids of both lists may collide, so each has a prefix.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime, time
from typing import Any, Final, Literal
from zoneinfo import ZoneInfo

from services.sync.domain import records
from services.sync.domain.pulls.configs import Erp
from services.sync.domain.records import Record
from shared.errors import Permanent

Body = Mapping[str, Any]
Topic = Literal["online", "store"]

_CANCELLED: Final = frozenset({"cancelled", "canceled"})
_RETURNED: Final = frozenset({"returned", "refund", "refunded"})
_UNKNOWN_YEAR: Final = 1900


def objects(answer: Any) -> list[Body]:
    """Return the orders of an answer. Raises Permanent for one that is no list of orders."""
    orders = answer.get("data") if isinstance(answer, dict) else answer
    if not isinstance(orders, list) or any(not isinstance(order, dict) for order in orders):
        raise Permanent("The answer is neither a list of orders nor an object with such a list in `data`.")
    return orders


def identity(order: Body) -> str:
    """Return the id of an order in its list; an order without one is known by its content."""
    return str(_first(order, "id", "order_id") or "")


def parse(config: Erp, topic: str, order: Body, day: date) -> list[Record]:
    """Return the order; `day` is that of the request, for an order without a date. Raises Permanent."""
    status = _status(order)
    dealer = _object(order, "dealer")
    number = _first(order, "id", "order_id")
    prefix = config.online_prefix if topic == "online" else config.store_prefix
    province = _first(order, "customer_state") or dealer.get("province")
    return [
        records.order(
            order_id=None if number is None else f"{prefix}{number}",
            ordered_at=_ordered_at(config, order, day),
            status=status,
            bought=status not in _CANCELLED | _RETURNED,
            cancelled=status in _CANCELLED,
            user_id=user_id(order),
            customer_name=_first(order, "customer_name", "name"),
            city=_text(_first(order, "customer_city", "city") or dealer.get("city")),
            province=_province(config, province),
            currency=config.currency,
            lines=_lines(config, order),
        )
    ]


def user_id(order: Body) -> str | None:
    """Return phone and name with an underscore between them, without one at the edges; None without both."""
    phone = str(_first(order, "customer_phone", "phone") or "").strip()
    name = str(_first(order, "customer_name", "name") or "").strip()
    return f"{phone}_{name}".strip("_")[:256] or None


def _lines(config: Erp, order: Body) -> list[dict[str, Any]]:
    entries = _first(order, "has_items", "items", "order_items") or []
    entries = [entries] if isinstance(entries, dict) else entries
    if not isinstance(entries, list) or any(not isinstance(entry, dict) for entry in entries):
        raise Permanent("The lines of the order are not a list of objects.")
    lines = []
    for entry in entries:
        names = ("id", "product_id", "sku") if config.item_id == "id" else ("sku", "id", "product_id")
        product = _first(entry, *names)
        if product is None:
            raise Permanent("A line of the order has no id, product_id or sku.")
        quantity = _number(entry.get("quantity"), 1.0)
        if quantity <= 0:
            continue
        category = _text(entry.get("product_type"))
        lines.append(
            {
                "product_id": product,
                "name": _text(_first(entry, "title", "product_name", "name")),
                "category": None if category == "simple" else category,
                "quantity": quantity,
                "price": _unit_price(entry, quantity),
            }
        )
    return lines


def _unit_price(entry: Body, quantity: float) -> float | None:
    """Return the price of a piece; `price` is the total of the line."""
    unit: float | None = _number(_first(entry, "base_price", "unit_price"), None)
    if unit is not None:
        return unit
    total: float | None = _number(entry.get("price"), None)
    return None if total is None else total / quantity


def _ordered_at(config: Erp, order: Body, day: date) -> datetime:
    zone = ZoneInfo(config.timezone)
    text = _first(order, "order_date", "created_at", "date")
    try:
        at = datetime.fromisoformat(str(text)) if text is not None else None
    except ValueError:
        raise Permanent(f"The date of the order is {str(text)[:60]!r}, which is not ISO 8601.") from None
    if at is None or at.year <= _UNKNOWN_YEAR:
        at = datetime.combine(day, time())
    return (at.replace(tzinfo=zone) if at.tzinfo is None else at).astimezone(UTC)


def _status(order: Body) -> str | None:
    """Return the status in lower case; `Delivered Orders` is `delivered`."""
    status = str(_first(order, "order_status", "status") or "").strip().lower()
    return status.removesuffix(" orders") or None


def _province(config: Erp, name: Any) -> str | None:
    text = _text(name)
    if text is None:
        return None
    spellings = {spelling.casefold(): province for spelling, province in config.provinces.items()}
    return spellings.get(text.casefold(), text)


def _number(value: Any, otherwise: Any) -> Any:
    """Return a number, or one of a text with commas between thousands. Raises Permanent for another text."""
    if value is None or (isinstance(value, str) and not value.strip()):
        return otherwise
    try:
        return float(value.replace(",", "")) if isinstance(value, str) else float(value)
    except (TypeError, ValueError):
        raise Permanent(f"{str(value)[:60]!r} is not a number.") from None


def _text(value: Any) -> str | None:
    return " ".join(str(value).split()) or None if value is not None else None


def _first(entry: Body, *names: str) -> Any:
    values: Sequence[Any] = [entry.get(name) for name in names]
    return next((value for value in values if value is not None and value != ""), None)


def _object(entry: Body, name: str) -> Body:
    value = entry.get(name)
    return value if isinstance(value, dict) else {}
