"""Rows of a database of the shop as orders, items and users."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from services.sync.domain.records import Record
from services.sync.domain.webhooks import generic
from services.sync.domain.webhooks.generic import Kind, Mapped
from shared.errors import Permanent

LINE_COLUMNS: Final = ("line", "product_id", "product_name", "category", "quantity", "price", "returned")
_LINE_FIELDS: Final = {
    "line": "key",
    "product_id": "product_id",
    "product_name": "name",
    "category": "category",
    "quantity": "quantity",
    "price": "price",
    "returned": "returned",
}
IDS: Final[Mapping[Kind, str]] = {"orders": "order_id", "items": "item_id", "users": "user_id"}


def parse(kind: Kind, document: Mapping[str, Any], timezone: str) -> list[Record]:
    """Return the record of a document: a row of an item or user, or an order with its `lines`.

    Raises Permanent for one that is not valid.
    """
    names = [name for name in document if name in generic.FIELDS[kind]]
    more = [name for name in document if name not in generic.FIELDS[kind] and name != "lines"]
    if IDS[kind] not in names:
        raise Permanent(f"The query has no column {IDS[kind]}.")
    is_order = kind == "orders"
    if is_order and "ordered_at" not in names:
        raise Permanent("The query has no column ordered_at.")
    mapping = Mapped(
        kind=kind,
        fields={name: f"$.{name}" for name in names},
        attributes={} if is_order else {name: f"$[{name!r}]" for name in more},
        lines="$.lines[*]" if is_order else None,
        line_fields={field: f"$.{column}" for column, field in _LINE_FIELDS.items()} if is_order else {},
        timezone=timezone,
    )
    records = generic.parse("", dict(document), (mapping,))
    return records if isinstance(records, list) else []
