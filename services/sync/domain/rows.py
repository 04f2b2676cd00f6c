"""Rows of a file → order lines, interactions, and puts of items and users.

Each function here reads the mapping once and returns a reader for rows, because a file has millions.
A row that can't be taken raises `Refused`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from datetime import datetime
from typing import Any, NamedTuple

import orjson
from pydantic import ValidationError

from services.sync.domain.attributes import attributes
from services.sync.domain.cells import (
    RowRejected,
    date_parser,
    identifier,
    number_parser,
    optional_bool,
    optional_identifier,
    optional_text,
)
from services.sync.domain.mapping import Kind, Layout, Mapping
from shared.events import InteractionRecorded, canonical_type, derived_id

ORDER = "order"
CANCELLATION = "cancellation"
INHERITED_KIND = ""
"""The kind of a row that names neither its kind nor its date: that of its order's other rows."""

NON_SALE_CODES = frozenset({"service_code", "price_not_positive", "price_negative", "quantity_not_positive"})
"""Codes of rows that are no order lines, such as postage or a discount: an order is whole without them."""

_KINDS = {
    "": ORDER,
    "order": ORDER,
    "sale": ORDER,
    "cancellation": CANCELLATION,
    "cancelled": CANCELLATION,
    "canceled": CANCELLATION,
    "return": CANCELLATION,
}
_LAST_POSITION = 2**31 - 1


class OrderRow(NamedTuple):
    """One order line as the file has it. `position` is its number in the order, where the file has one.

    A cell of the whole order, its date too, may be empty: other rows of the order have it.
    """

    kind: str
    order_id: str
    position: int | None
    user_id: str | None
    customer_name: str | None
    ordered_at: datetime | None
    product_id: str
    product_name: str | None
    category: str | None
    quantity: float
    price: float | None
    currency: str | None
    city: str | None
    province: str | None
    country: str | None


class PutRow(NamedTuple):
    """What a row says about an item or a user: only the cells that aren't empty."""

    id: str
    fields: dict[str, Any]
    attributes: dict[str, Any]


class _CellIndex:
    """Where the fields stand, once a row is followed by an empty cell and the constants."""

    def __init__(self, kind: Kind, mapping: Mapping, layout: Layout, width: int) -> None:
        self.kind = kind
        self.tail = ["", *mapping.constants.values()]
        self._where = {name: width + 1 + at for at, name in enumerate(mapping.constants)}
        self._where |= layout.columns
        self._empty = width

    def __contains__(self, field: str) -> bool:
        return field in self._where

    def __getitem__(self, field: str) -> int:
        return self._where.get(field, self._empty)


def order_row_parser(mapping: Mapping, layout: Layout, width: int) -> Callable[[list[str]], OrderRow]:
    """The reader of order lines. The first rule that applies wins."""
    at = _CellIndex("orders", mapping, layout, width)
    (order_id, product_id, ordered_at, quantity, price, line, kind) = (
        at["order_id"], at["product_id"], at["ordered_at"], at["quantity"], at["price"],
        at["line"], at["kind"],
    )  # fmt: skip
    user_id, customer, product_name = at["user_id"], at["customer_name"], at["product_name"]
    category, currency = at["category"], at["currency"]
    city, province, country = at["city"], at["province"], at["country"]
    number, date, tail = number_parser(mapping), date_parser(mapping), at.tail
    service_codes = {code.upper() for code in mapping.service_codes}
    prefix = (mapping.cancellation_prefix or "\0").upper()
    lowest = "price_not_positive" if mapping.positive_price else "price_negative"
    has_kinds = "kind" in at

    def row(cells: list[str]) -> OrderRow:
        cells += tail
        order = identifier(cells[order_id], "order_id")
        product = identifier(cells[product_id], "product_id")
        code = product.upper()
        if code in service_codes:
            raise RowRejected("service_code", f"{product} is a service code, not a product")
        cost = number(cells[price], "price")
        if mapping.positive_price and cost is None:
            raise RowRejected("missing_value", "price is empty")
        if cost is not None and (cost < 0 or (cost == 0 and mapping.positive_price)):
            raise RowRejected(lowest, f"price is {cells[price].strip()}, nothing that was sold")
        ordered = date(cells[ordered_at], "ordered_at") if cells[ordered_at].strip() else None
        if order.upper().startswith(prefix):
            what = CANCELLATION
        elif has_kinds and ordered is None and not cells[kind].strip():
            what = INHERITED_KIND
        else:
            what = _kind(cells[kind])
        return OrderRow(
            what,
            order,
            _position(cells[line]),
            _user(cells[user_id], whole=mapping.whole_user_ids),
            optional_text(cells[customer], "customer_name"),
            ordered,
            code if mapping.upper_case_products else product,
            optional_text(cells[product_name], "product_name"),
            optional_text(cells[category], "category"),
            signed_quantity(number(cells[quantity], "quantity"), what),
            cost,
            optional_text(cells[currency], "currency"),
            optional_text(cells[city], "city"),
            optional_text(cells[province], "province"),
            optional_text(cells[country], "country"),
        )

    return row


def _kind(text: str) -> str:
    try:
        return _KINDS[text.strip().lower()]
    except KeyError:
        raise RowRejected("bad_value", f"kind is {text[:60]!r}; write order or cancellation") from None


def _position(text: str) -> int | None:
    text = text.strip()
    if not text:
        return None
    if not (text.isascii() and text.isdigit()) or int(text) > _LAST_POSITION:
        raise RowRejected("bad_number", f"line is {text[:60]!r}, which is no line number")
    return int(text)


def _user(text: str, *, whole: bool) -> str | None:
    user = optional_identifier(text, "user_id")
    if whole and user is not None and user.endswith(".0") and user[:-2].isdigit():
        return user[:-2]
    return user


def signed_quantity(quantity: float | None, kind: str) -> float:
    """Return the pieces of a line; those that were taken back count below zero, so that sums are net.

    Refused for none, and for an order's line below zero. Of a row whose kind is not known they stay as they
    are until it is.
    """
    if quantity is None:
        raise RowRejected("missing_value", "quantity is empty")
    if kind == INHERITED_KIND and quantity != 0:
        return quantity
    if kind == CANCELLATION and quantity != 0:
        return -abs(quantity)
    if quantity <= 0:
        raise RowRejected("quantity_not_positive", f"quantity is {quantity:g}")
    return quantity


def item_row_parser(
    mapping: Mapping, layout: Layout, width: int, shortened: Counter[str] | None = None
) -> Callable[[list[str]], PutRow]:
    """Return the reader of items; it counts cells that it has to cut in `shortened`, by column."""
    cut = Counter[str]() if shortened is None else shortened
    at = _CellIndex("items", mapping, layout, width)
    number, date = number_parser(mapping), date_parser(mapping)

    def row(cells: list[str]) -> PutRow:
        cells += at.tail
        created = cells[at["created_at"]]
        fields = {
            "name": optional_text(cells[at["name"]], "name"),
            "category": optional_text(cells[at["category"]], "category"),
            "price": number(cells[at["price"]], "price"),
            "currency": optional_text(cells[at["currency"]], "currency"),
            "available": optional_bool(cells[at["available"]], "available"),
            "created_at": date(created, "created_at") if created.strip() else None,
        }
        return _put(identifier(cells[at["item_id"]], "item_id"), fields, attributes(cells, layout, cut))

    return row


def user_row_parser(
    mapping: Mapping, layout: Layout, width: int, shortened: Counter[str] | None = None
) -> Callable[[list[str]], PutRow]:
    """Return the reader of users; it counts cells that it has to cut in `shortened`, by column."""
    cut = Counter[str]() if shortened is None else shortened
    at = _CellIndex("users", mapping, layout, width)

    def row(cells: list[str]) -> PutRow:
        cells += at.tail
        fields = {
            name: optional_text(cells[at[name]], name) for name in ("name", "city", "province", "country")
        }
        return _put(identifier(cells[at["user_id"]], "user_id"), fields, attributes(cells, layout, cut))

    return row


def _put(identity: str, fields: dict[str, Any], others: dict[str, Any]) -> PutRow:
    return PutRow(identity, {name: value for name, value in fields.items() if value is not None}, others)


def interaction_row_parser(
    mapping: Mapping,
    layout: Layout,
    width: int,
    shortened: Counter[str] | None = None,
    *,
    tenant: str,
    received_at: datetime,
) -> Callable[[list[str]], InteractionRecorded]:
    """Return the reader of interactions. Two rows that are equal in everything are one interaction.

    It counts cells that it has to cut in `shortened`, by column.
    """
    cut = Counter[str]() if shortened is None else shortened
    at = _CellIndex("interactions", mapping, layout, width)
    number, date = number_parser(mapping), date_parser(mapping)

    def row(cells: list[str]) -> InteractionRecorded:
        cells += at.tail
        spelling = identifier(cells[at["event_type"]], "event_type")
        fields: dict[str, Any] = {
            name: optional_identifier(cells[at[name]], name)
            for name in ("user_id", "session_id", "item_id", "event_id")
        }
        fields |= {name: number(cells[at[name]], name) for name in ("value", "quantity", "price")}
        if not fields["user_id"] and not fields["session_id"]:
            raise RowRejected("missing_value", "user_id and session_id are both empty")
        happened = date(cells[at["timestamp"]], "timestamp")
        kind, properties = canonical_type(spelling), attributes(cells, layout, cut)
        identity = fields.pop("event_id") or _interaction_id(tenant, kind, happened, fields, properties)
        try:
            return InteractionRecorded(
                event_id=identity,
                tenant=tenant,
                occurred_at=happened,
                event_type=kind,
                sender_type=spelling,
                properties=properties or None,
                source="import",
                received_at=received_at,
                historical=True,
                **fields,
            )
        except ValidationError as error:
            raise RowRejected("bad_value", error.errors()[0]["msg"]) from error

    return row


def _interaction_id(
    tenant: str,
    kind: str,
    happened: datetime,
    fields: dict[str, Any],
    properties: dict[str, Any],
) -> str:
    content = orjson.dumps([fields, properties], option=orjson.OPT_SORT_KEYS).decode()
    return derived_id(tenant, "interaction", kind, happened, content)
