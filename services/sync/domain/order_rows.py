"""Parse the rows of an order file into order lines."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import NamedTuple

from services.sync.domain.cells import (
    RowRejected,
    date_parser,
    identifier,
    number_parser,
    optional_identifier,
    optional_text,
)
from services.sync.domain.mapping import Layout, Mapping
from services.sync.domain.rows import CellIndex

ORDER = "order"
CANCELLATION = "cancellation"
INHERITED_KIND = ""
"""The kind of a row without a kind and a date, which inherits that of its order's other rows."""

NON_SALE_CODES = frozenset({"service_code", "price_not_positive", "price_negative", "quantity_not_positive"})
"""Codes of rows that are not order lines, such as postage or a discount."""

_KINDS = {
    "": ORDER,
    "order": ORDER,
    "sale": ORDER,
    "cancellation": CANCELLATION,
    "cancelled": CANCELLATION,
    "canceled": CANCELLATION,
    "return": CANCELLATION,
    # The states of payments of Shopify, and of orders of WooCommerce.
    **dict.fromkeys(("paid", "pending", "authorized", "partially_paid", "partially_refunded"), ORDER),
    **dict.fromkeys(("completed", "processing", "on-hold"), ORDER),
    **dict.fromkeys(("refunded", "voided", "expired", "failed"), CANCELLATION),
}
_LAST_POSITION = 2**31 - 1


class OrderRow(NamedTuple):
    """One order line of a file. `position` is its line number in the order, if the file has one.

    Cells of the whole order, such as its date, may be empty if other rows of the order have them.
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


def order_row_parser(mapping: Mapping, layout: Layout, width: int) -> Callable[[list[str]], OrderRow]:
    """Return the parser of order lines. It raises RowRejected for the first rule that a row breaks."""
    at = CellIndex("orders", mapping, layout, width)
    (order_id, product_id, ordered_at, quantity, price, line, kind) = (
        at["order_id"], at["product_id"], at["ordered_at"], at["quantity"], at["price"],
        at["line"], at["kind"],
    )  # fmt: skip
    user_id, customer, product_name = at["user_id"], at["customer_name"], at["product_name"]
    category, currency = at["category"], at["currency"]
    city, province, country = at["city"], at["province"], at["country"]
    parse_number, parse_date, tail = number_parser(mapping), date_parser(mapping), at.tail
    parse_price, check_product = _price_parser(mapping, parse_number), _product_check(mapping)
    prefix = (mapping.cancellation_prefix or "\0").upper()
    has_kinds, inherits_kind = "kind" in at, mapping.inherits_kind
    guests, prices_of_lines = mapping.guest_ids, mapping.prices_of_lines

    def parse_row(cells: list[str]) -> OrderRow:
        """Return the order line of a row. Raises RowRejected."""
        cells += tail
        row_order_id = identifier(cells[order_id], "order_id")
        product = check_product(identifier(cells[product_id], "product_id"))
        unit_price = parse_price(cells[price])
        time = parse_date(cells[ordered_at], "ordered_at") if cells[ordered_at].strip() else None
        if row_order_id.upper().startswith(prefix):
            row_kind = CANCELLATION
        elif has_kinds and (time is None or inherits_kind) and not cells[kind].strip():
            row_kind = INHERITED_KIND
        else:
            row_kind = _kind(cells[kind])
        pieces = parse_number(cells[quantity], "quantity")
        if prices_of_lines and unit_price is not None and pieces:
            unit_price /= abs(pieces)
        user = _user(cells[user_id], whole=mapping.whole_user_ids)
        return OrderRow(
            row_kind,
            row_order_id,
            _position(cells[line]),
            None if user in guests else user,
            optional_text(cells[customer], "customer_name"),
            time,
            product,
            optional_text(cells[product_name], "product_name"),
            optional_text(cells[category], "category"),
            signed_quantity(pieces, row_kind),
            unit_price,
            optional_text(cells[currency], "currency"),
            optional_text(cells[city], "city"),
            optional_text(cells[province], "province"),
            optional_text(cells[country], "country"),
        )

    return parse_row


def _product_check(mapping: Mapping) -> Callable[[str], str]:
    """Return a function from a product id to the one that is stored. It raises RowRejected for services."""
    service_codes = {code.upper() for code in mapping.service_codes}

    def check(product_id: str) -> str:
        """Return the id of the product. Raises RowRejected."""
        code = product_id.upper()
        if code in service_codes:
            raise RowRejected("service_code", f"{product_id} is a service code, not a product")
        return code if mapping.upper_case_products else product_id

    return check


def _price_parser(
    mapping: Mapping, parse_number: Callable[[str, str], float | None]
) -> Callable[[str], float | None]:
    """Return the parser of prices, which raises RowRejected for a price that is too low."""
    code = "price_not_positive" if mapping.positive_price else "price_negative"

    def parse(text: str) -> float | None:
        """Return the price in a cell. Raises RowRejected."""
        price = parse_number(text, "price")
        if mapping.positive_price and price is None:
            raise RowRejected("missing_value", "price is empty")
        if price is not None and (price < 0 or (price == 0 and mapping.positive_price)):
            raise RowRejected(code, f"price is {text.strip()}; nothing was sold at this price")
        return price

    return parse


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
        raise RowRejected("bad_number", f"line is {text[:60]!r}, which is not a line number")
    return int(text)


def _user(text: str, *, whole: bool) -> str | None:
    user = optional_identifier(text, "user_id")
    if whole and user is not None and user.endswith(".0") and user[:-2].isdigit():
        return user[:-2]
    return user


def signed_quantity(quantity: float | None, kind: str) -> float:
    """Return the quantity of a line: negative in cancellations, so that sums are net.

    The quantity of a row that inherits its kind is unchanged until the kind is known. Raises RowRejected for
    an empty cell, for zero, and for a negative quantity in an order.
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
