"""Webhooks of WooCommerce: orders, products and customers, as its REST API v3 shows them.

https://woocommerce.github.io/woocommerce-rest-api-docs/. The members that end in `_gmt` are times in UTC
without an offset. The body of a deletion is the id alone.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from services.sync.domain import records
from services.sync.domain.records import Ignored, Record
from services.sync.domain.webhooks.options import VendorOptions
from shared.errors import Permanent

Body = Mapping[str, Any]

BOUGHT: Final = frozenset({"processing", "completed", "on-hold"})
_CANCELLED: Final = frozenset({"cancelled", "failed", "trash"})


def parse(topic: str, body: Body, options: VendorOptions, received_at: datetime) -> list[Record] | Ignored:
    """Return the records of a delivery. Raises Permanent for a body that lacks what its topic has."""
    resource, _, event = topic.partition(".")
    if event == "deleted":
        if resource == "product" and options.item_id == "product":
            return [records.item(body.get("id"), received_at, {"available": False})]
        return Ignored("What was deleted in the shop keeps its state here.")
    match resource:
        case "order":
            return [order(body, options)]
        case "product":
            return _product(body, options)
        case "customer":
            return _customer(body, options)
        case _:
            return Ignored(f"The topic {topic} brings no orders, items or users.")


def order(body: Body, options: VendorOptions) -> Record:
    """Return an order. Raises Permanent for one that is not valid."""
    billing = _object(body, "billing")
    address = _object(body, "shipping")
    address = address if address.get("city") else billing
    status = body.get("status")
    identity = body.get("id")
    return records.order(
        order_id=options.order_id(None if identity is None else str(identity)),
        ordered_at=_time(body, "date_created"),
        updated_at=_time(body, "date_modified"),
        status=status,
        bought=status in BOUGHT or str(status).startswith("wc-"),
        cancelled=status in _CANCELLED,
        user_id=_buyer(body, billing, options),
        customer_name=_name(billing),
        city=address.get("city"),
        province=address.get("state"),
        country=address.get("country"),
        currency=body.get("currency"),
        lines=[
            {
                "key": line.get("id"),
                "product_id": _item_id(line, options),
                "name": line.get("name"),
                "quantity": line.get("quantity"),
                "price": line.get("price"),
            }
            for line in _objects(body, "line_items")
            if _item_id(line, options)
        ],
    )


def _product(body: Body, options: VendorOptions) -> list[Record] | Ignored:
    if body.get("parent_id") and options.item_id == "product":
        return Ignored("It is a variation; items of this source are products.")
    identity = body.get("sku") if options.item_id == "sku" else body.get("id")
    if not identity:
        return Ignored("The product has no SKU, which is the id of items for this source.")
    categories = [entry.get("name") for entry in _objects(body, "categories") if entry.get("name")]
    image = next(iter(_objects(body, "images")), {})
    created_at = _time(body, "date_created")
    fields = {
        "name": body.get("name"),
        "category": categories,
        "price": body.get("price") or None,
        "available": body.get("status", "publish") == "publish" and body.get("stock_status") != "outofstock",
        "created_at": created_at.isoformat() if created_at else None,
    }
    more = {"tags": [tag.get("name") for tag in _objects(body, "tags")], "image_url": image.get("src")}
    return [
        records.item(identity, _time(body, "date_modified"), fields, permalink=body.get("permalink"), **more)
    ]


def _customer(body: Body, options: VendorOptions) -> list[Record] | Ignored:
    billing = _object(body, "billing")
    value = body.get("id") if options.user_id == "id" else body.get("email")
    if options.user_id == "phone":
        value = billing.get("phone")
    if not value:
        return Ignored(f"The customer has no {options.user_id}, which is the id of users for this source.")
    fields = {
        "name": _name(body) or _name(billing),
        "city": billing.get("city"),
        "province": billing.get("state"),
        "country": billing.get("country"),
    }
    return [records.user(_lower(value), _time(body, "date_modified"), fields)]


def _buyer(body: Body, billing: Body, options: VendorOptions) -> str | None:
    """Return the user of an order; customer 0 is a guest."""
    if options.user_id == "id":
        return str(body["customer_id"]) if body.get("customer_id") else None
    return _lower(billing.get(options.user_id)) or None


def _lower(value: Any) -> str:
    return str(value or "").strip().lower()


def _item_id(line: Body, options: VendorOptions) -> Any:
    match options.item_id:
        case "sku":
            return line.get("sku") or None
        case "variant":
            return line.get("variation_id") or line.get("product_id") or None
        case _:
            return line.get("product_id") or None


def _time(body: Body, name: str) -> datetime | None:
    return records.instant(body.get(f"{name}_gmt") or body.get(name), name)


def _name(person: Body) -> str | None:
    parts = [person.get("first_name"), person.get("last_name")]
    return " ".join(part for part in parts if isinstance(part, str) and part) or None


def _object(body: Body, name: str) -> Body:
    value = body.get(name)
    return value if isinstance(value, dict) else {}


def _objects(body: Body, name: str) -> Sequence[Body]:
    value = body.get(name) or []
    if not isinstance(value, list) or any(not isinstance(entry, dict) for entry in value):
        raise Permanent(f"{name} is not a list of objects.")
    return value
