"""Webhooks of Saleor: orders, products and customers.

A payload is what the app's subscription query selects (https://docs.saleor.io/developer/extending/webhooks),
with names in camelCase, or the older fixed payload, a list of objects with names in snake_case. Both are read
alike.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any, Final

from services.sync.domain import records
from services.sync.domain.records import Ignored, Record
from services.sync.domain.webhooks.options import VendorOptions
from shared.errors import Permanent

Body = Mapping[str, Any]

_BOUGHT: Final = frozenset({"unfulfilled", "partially_fulfilled", "fulfilled", "partially_returned"})
_CANCELLED: Final = frozenset({"canceled", "cancelled", "expired"})
_CAMEL = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")


def parse(topic: str, body: Any, options: VendorOptions, received_at: datetime) -> list[Record] | Ignored:
    """Return the records of a delivery. Raises Permanent for a body that lacks what its event has."""
    resource = topic.partition("_")[0]
    if resource not in {"order", "product", "customer"}:
        return Ignored(f"The event {topic} brings no orders, items or users.")
    read: list[Record] = []
    for entry in body if isinstance(body, list) else [body]:
        payload = _snake(entry)
        if not isinstance(payload, dict):
            raise Permanent("The payload is neither an object nor a list of objects.")
        selected = payload.get(resource) or payload.get("user")
        document = selected if isinstance(selected, dict) and "lines" not in payload else payload
        if resource == "order":
            read.append(_order(document, options))
        elif resource == "customer":
            read.append(_customer(document, options))
        else:
            read += _product(document, options, received_at, deleted=topic.endswith("_deleted"))
    return read or Ignored("The payload names nothing.")


def _order(body: Body, options: VendorOptions) -> Record:
    status = str(body.get("status") or "").lower()
    buyer, address = (
        _object(body, "user"),
        _object(body, "shipping_address") or _object(body, "billing_address"),
    )
    identity = body.get("id")
    return records.order(
        order_id=options.order_id(None if identity is None else str(identity)),
        ordered_at=records.instant(body.get("created") or body.get("created_at"), "created"),
        updated_at=records.instant(body.get("updated_at"), "updatedAt"),
        status=status,
        bought=status in _BOUGHT,
        cancelled=status in _CANCELLED,
        user_id=_lower(buyer.get("email") or body.get("user_email"))
        if options.user_id == "email"
        else buyer.get("id"),
        customer_name=_name(buyer) or _name(address),
        city=address.get("city"),
        province=address.get("country_area"),
        country=_country(address),
        currency=body.get("currency") or _object(_object(body, "total"), "gross").get("currency"),
        lines=[
            {
                "key": line.get("id"),
                "product_id": _item_id(line, options),
                "name": line.get("product_name"),
                "quantity": line.get("quantity"),
                "price": _amount(line),
            }
            for line in body.get("lines") or ()
            if isinstance(line, dict) and _item_id(line, options)
        ],
    )


def _product(body: Body, options: VendorOptions, received_at: datetime, *, deleted: bool) -> Iterator[Record]:
    if options.item_id != "product":
        for variant in body.get("variants") or ():
            identity = variant.get("sku") if options.item_id == "sku" else variant.get("id")
            if identity:
                yield records.item(identity, _updated(body), _described(body))
    elif deleted:
        yield records.item(body.get("id"), received_at, {"available": False})
    else:
        yield records.item(body.get("id"), _updated(body), _described(body))


def _described(body: Body) -> dict[str, Any]:
    prices = _object(_object(_object(_object(body, "pricing"), "price_range"), "start"), "gross")
    return {
        "name": body.get("name"),
        "category": _object(body, "category").get("name"),
        "price": prices.get("amount"),
        "currency": prices.get("currency"),
        "available": body.get("is_available"),
        "created_at": body.get("created"),
    }


def _customer(body: Body, options: VendorOptions) -> Record:
    address = _object(body, "default_shipping_address") or _object(body, "default_billing_address")
    fields = {
        "name": _name(body),
        "city": address.get("city"),
        "province": address.get("country_area"),
        "country": _country(address),
    }
    identity = _lower(body.get("email")) if options.user_id == "email" else body.get("id")
    return records.user(identity, _updated(body), fields)


def _item_id(line: Body, options: VendorOptions) -> Any:
    variant = _object(line, "variant")
    match options.item_id:
        case "sku":
            return line.get("product_sku") or variant.get("sku")
        case "variant":
            return variant.get("id") or line.get("product_variant_id")
        case _:
            return _object(variant, "product").get("id") or line.get("product_id")


def _amount(line: Body) -> Any:
    gross = _object(_object(line, "unit_price"), "gross").get("amount")
    return gross if gross is not None else line.get("unit_price_gross_amount")


def _updated(body: Body) -> datetime | None:
    return records.instant(body.get("updated_at"), "updatedAt")


def _country(address: Body) -> Any:
    country = address.get("country")
    return country.get("code") or country.get("country") if isinstance(country, dict) else country


def _name(person: Body) -> str | None:
    parts = [person.get("first_name"), person.get("last_name")]
    return " ".join(part for part in parts if isinstance(part, str) and part) or None


def _lower(value: Any) -> str | None:
    return str(value).strip().lower() or None if value else None


def _object(body: Body, name: str) -> Body:
    value = body.get(name)
    return value if isinstance(value, dict) else {}


def _snake(value: Any) -> Any:
    """Return a document with the names of its members in snake_case."""
    if isinstance(value, dict):
        return {_CAMEL.sub("_", name).lower(): _snake(member) for name, member in value.items()}
    return [_snake(entry) for entry in value] if isinstance(value, list) else value
