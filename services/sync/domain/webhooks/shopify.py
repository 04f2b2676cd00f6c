"""Webhooks of Shopify: orders, refunds, products, customers, carts and the compliance topics.

The bodies are those of the REST Admin API (https://shopify.dev/docs/api/webhooks). Ids are numbers, texts or
GIDs (`gid://shopify/Product/7`); each becomes its number as text. Prices are texts.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, Final
from urllib.parse import quote

from services.sync.domain import records
from services.sync.domain.records import Ignored, Record
from services.sync.domain.webhooks.options import VendorOptions
from shared.errors import Permanent

Body = Mapping[str, Any]

_UNDONE: Final = frozenset({"refunded", "voided"})


def parse(topic: str, body: Body, options: VendorOptions, received_at: datetime) -> list[Record] | Ignored:
    """Return the records of a delivery. Raises Permanent for a body that lacks what its topic has."""
    parser = _TOPICS.get(topic)
    if parser is None:
        return Ignored(f"The topic {topic} brings no orders, items or users.")
    return parser(body, options, received_at)


def order(body: Body, options: VendorOptions, _: datetime) -> list[Record] | Ignored:
    """Return an order and its customer; a test order brings nothing."""
    if body.get("test") is True:
        return Ignored("It is a test order.")
    customer = _object(body, "customer")
    address = _object(body, "shipping_address") or _object(body, "billing_address")
    status = body.get("financial_status")
    user_id = _user_id(body, customer, options)
    place = {"city": address.get("city"), "province": address.get("province"), "country": _country(address)}
    cancelled = bool(body.get("cancelled_at"))
    placed = records.order(
        order_id=options.order_id(_number(body, options)),
        ordered_at=records.instant(body.get("created_at"), "created_at"),
        updated_at=records.instant(body.get("updated_at"), "updated_at"),
        status="cancelled" if cancelled else status,
        bought=not cancelled and status not in _UNDONE,
        cancelled=cancelled or status == "voided",
        user_id=user_id,
        customer_name=_name(customer) or _name(address),
        currency=body.get("currency"),
        lines=[_line(line, options) for line in _objects(body, "line_items") if item_id(line, options)],
        returns=[entry for part in _objects(body, "refunds") for entry in _returns(part)],
        **place,
    )
    return [placed]


def refund(body: Body, options: VendorOptions, received_at: datetime) -> list[Record] | Ignored:
    """Return the returned lines of a refund; a refund of money alone returns none."""
    returns = list(_returns(body))
    if not returns:
        return Ignored("The refund names no lines; the order's own update says what it means for the order.")
    if options.order_number == "name":
        return Ignored("It names the order by its id; the order's own update has the refund as well.")
    at = records.instant(body.get("created_at"), "created_at") or received_at
    order_id = options.order_id(identifier(body.get("order_id")))
    return [records.refund(order_id=order_id, at=at, returns=returns)]


def product(body: Body, options: VendorOptions, _: datetime) -> list[Record] | Ignored:
    """Return the item of a product, or the items of its variants, as the source's ids are."""
    variants = _objects(body, "variants")
    updated_at = records.instant(body.get("updated_at"), "updated_at")
    is_listed = body.get("status", "active") == "active" and body.get("published_at", "") is not None
    image = _object(body, "image") or next(iter(_objects(body, "images")), {})
    common = {"name": body.get("title"), "category": body.get("product_type")}
    common["created_at"] = body.get("created_at")
    more = {
        "brand": body.get("vendor"),
        "tags": _tags(body.get("tags")),
        "handle": body.get("handle"),
        "image_url": image.get("src"),
    }
    if options.item_id == "product":
        prices = [price for variant in variants if (price := _price(variant)) is not None]
        fields = common | {"price": min(prices, default=None)}
        fields["available"] = is_listed and (not variants or any(map(_is_in_stock, variants)))
        return [records.item(identifier(body.get("id")), updated_at, fields, **more)]
    items: list[Record] = []
    for variant in variants:
        identity = variant.get("sku") if options.item_id == "sku" else identifier(variant.get("id"))
        if identity:
            fields = common | {"price": _price(variant), "available": is_listed and _is_in_stock(variant)}
            items.append(records.item(identity, updated_at, fields, variant=variant.get("title"), **more))
    return items or Ignored("No variant has a SKU, which is the id of items for this source.")


def product_deleted(body: Body, options: VendorOptions, received_at: datetime) -> list[Record] | Ignored:
    """Return the item as not available; its orders stay."""
    if options.item_id != "product":
        return Ignored("It names the product alone; items of this source are variants.")
    return [records.item(identifier(body.get("id")), received_at, {"available": False})]


def customer(body: Body, options: VendorOptions, _: datetime) -> list[Record] | Ignored:
    """Return the user of a customer."""
    user_id = _user_id(body, body, options)
    if user_id is None:
        return Ignored(f"The customer has no {options.user_id}, which is the id of users for this source.")
    address = _object(body, "default_address")
    fields = {
        "name": _name(body),
        "city": address.get("city"),
        "province": address.get("province"),
        "country": _country(address),
    }
    updated_at = records.instant(body.get("updated_at"), "updated_at")
    return [records.user(user_id, updated_at, fields, tags=_tags(body.get("tags")))]


def cart(body: Body, options: VendorOptions, received_at: datetime) -> list[Record] | Ignored:
    """Return the products of a cart or an open checkout."""
    session_id = body.get("token") or body.get("id")
    user_id = _user_id(body, _object(body, "customer"), options)
    at = records.instant(body.get("updated_at"), "updated_at") or received_at
    products: list[Record] = [
        records.cart(
            session_id=session_id,
            user_id=user_id,
            item_id=item_id(line, options),
            quantity=line.get("quantity"),
            price=line.get("price"),
            at=at,
        )
        for line in _objects(body, "line_items")
        if item_id(line, options)
    ]
    return products or Ignored("The cart is empty.")


def redact(body: Body, options: VendorOptions, _: datetime) -> list[Record] | Ignored:
    """Return the request to erase a customer.

    Shopify gives 30 days (https://shopify.dev/docs/apps/build/privacy-law-compliance).
    """
    user_id = _user_id(body, _object(body, "customer"), options)
    if user_id is None:
        return Ignored(f"The customer has no {options.user_id}, by which this source knows users.")
    return [records.erasure(user_id)]


def identifier(value: Any) -> str | None:
    """Return an id as the text of its number: of 7, "7" and "gid://shopify/Product/7" each "7"."""
    if value is None or isinstance(value, bool):
        return None
    return str(value).rpartition("/")[2].partition("?")[0] or None


def item_id(line: Body, options: VendorOptions) -> str | None:
    """Return the item of a line, or None for one that is no product of the shop."""
    if options.item_id == "sku":
        return line.get("sku") or None
    return identifier(line.get("variant_id" if options.item_id == "variant" else "product_id"))


def _line(line: Body, options: VendorOptions) -> dict[str, Any]:
    return {
        "key": identifier(line.get("id")),
        "product_id": item_id(line, options),
        "name": line.get("title") or line.get("name"),
        "quantity": line.get("quantity"),
        "price": line.get("price"),
        "kept": line.get("current_quantity"),
    }


def _returns(refund_body: Body) -> Iterator[dict[str, Any]]:
    for entry in _objects(refund_body, "refund_line_items"):
        line = entry.get("line_item_id") or _object(entry, "line_item").get("id")
        yield {
            "return_id": identifier(entry.get("id")) or f"{refund_body.get('id')}:{line}",
            "line_key": identifier(line),
            "quantity": entry.get("quantity"),
        }


def _user_id(body: Body, customer_body: Body, options: VendorOptions) -> str | None:
    if options.user_id == "id":
        return identifier(customer_body.get("id") or body.get("customer_id"))
    value = customer_body.get(options.user_id) or body.get(options.user_id)
    return None if not isinstance(value, str) else value.strip().lower() or None


def _number(body: Body, options: VendorOptions) -> str | None:
    name = body.get("name")
    return (str(name) if name else None) if options.order_number == "name" else identifier(body.get("id"))


def _price(variant: Body) -> float | None:
    try:
        return float(variant["price"])
    except (KeyError, TypeError, ValueError):
        return None


def _is_in_stock(variant: Body) -> bool:
    quantity = variant.get("inventory_quantity")
    if variant.get("inventory_management") is None or not isinstance(quantity, int):
        return True
    return quantity > 0 or variant.get("inventory_policy") == "continue"


def _tags(tags: Any) -> list[str]:
    names = tags.split(",") if isinstance(tags, str) else tags if isinstance(tags, list) else []
    return [name.strip() for name in names if isinstance(name, str) and name.strip()]


def _name(person: Body) -> str | None:
    parts = [person.get("first_name"), person.get("last_name")]
    return " ".join(part for part in parts if isinstance(part, str) and part) or None


def _country(address: Body) -> Any:
    return address.get("country") or address.get("country_code")


def _object(body: Body, name: str) -> Body:
    value = body.get(name)
    return value if isinstance(value, dict) else {}


def _objects(body: Body, name: str) -> Sequence[Body]:
    value = body.get(name) or []
    if not isinstance(value, list) or any(not isinstance(entry, dict) for entry in value):
        raise Permanent(f"{name} is not a list of objects.")
    return value


def _data_request(body: Body, options: VendorOptions, _: datetime) -> Ignored:
    """Return where the export of the customer is; it is made when it is read, so no copy has to be erased."""
    user_id = _user_id(body, _object(body, "customer"), options)
    if user_id is None:
        return Ignored(f"The customer has no {options.user_id}, by which this source knows users.")
    path = f"/v1/user-exports/{quote(user_id, safe='')}"
    return Ignored(f"Send the shop the answer of GET {path} of the engine within 30 days.")


def _shop_redact(_: Body, __: VendorOptions, ___: datetime) -> list[Record]:
    return [records.erasure(None)]


_TOPICS: Final[Mapping[str, Callable[[Body, VendorOptions, datetime], list[Record] | Ignored]]] = {
    **dict.fromkeys(
        ("orders/create", "orders/updated", "orders/paid", "orders/cancelled", "orders/fulfilled",
         "orders/partially_fulfilled"), order,
    ),
    "refunds/create": refund,
    "products/create": product,
    "products/update": product,
    "products/delete": product_deleted,
    **dict.fromkeys(("customers/create", "customers/update", "customers/enable"), customer),
    **dict.fromkeys(("carts/create", "carts/update", "checkouts/create", "checkouts/update"), cart),
    "customers/redact": redact,
    "customers/data_request": _data_request,
    "shop/redact": _shop_redact,
}  # fmt: skip
