"""Bodies of webhooks as Shopify, WooCommerce and Saleor send them, cut to what sync reads."""

from __future__ import annotations

from typing import Any


def shopify_order(**changes: Any) -> dict[str, Any]:
    """Three lines of one product in different variants, as in Shopify's example order, and a gift card."""
    order: dict[str, Any] = {
        "id": 450789469, "name": "#1001", "created_at": "2026-11-01T10:00:00-04:00", "updated_at":
        "2026-11-01T10:00:00-04:00", "cancelled_at": None, "test": False, "currency": "USD",
        "financial_status": "paid", "email": "Bob@Example.org", "customer": {"id": 207119551, "email":
        "Bob@Example.org", "first_name": "Bob", "last_name": "Norman"}, "shipping_address": {"city": "Ottawa",
        "province": "Ontario", "country": "Canada", "country_code": "CA"}, "line_items": [
            *(
                {"id": line, "product_id": 632910392, "variant_id": variant, "quantity": 1, "price": "199.00",
                 "sku": f"IPOD-{variant}", "title": "IPod Nano - 8gb"}
                for line, variant in ((466157049, 39072856), (518995019, 49148385), (703073504, 457924702))
            ),
            {"id": 1, "product_id": None, "quantity": 1, "price": "10.00", "title": "A gift card"},
        ],
        "refunds": [],
    }  # fmt: skip
    return order | changes


def shopify_refund(refund_id: int = 509562969, line: int = 703073504, quantity: int = 1) -> dict[str, Any]:
    """A refund of one line, as in `refunds/create` and in `refunds` of an order."""
    return {
        "id": refund_id,
        "order_id": 450789469,
        "created_at": "2026-11-02T09:00:00-04:00",
        "refund_line_items": [{"id": refund_id + 1, "line_item_id": line, "quantity": quantity}],
    }


def shopify_product(**changes: Any) -> dict[str, Any]:
    """A product with two variants, one of which is sold out."""
    product: dict[str, Any] = {
        "id": 632910392,
        "title": "IPod Nano - 8gb",
        "vendor": "Apple",
        "product_type": "Cult Products",
        "handle": "ipod-nano",
        "status": "active",
        "tags": "Emotive, Flash Memory",
        "created_at": "2026-10-01T10:00:00-04:00",
        "updated_at": "2026-11-01T10:00:00-04:00",
        "published_at": "2026-10-01T10:00:00-04:00",
        "image": {"src": "https://cdn.example.org/nano.png"},
        "variants": [
            {"id": 39072856, "price": "199.00", "sku": "IPOD-39072856", "inventory_management": "shopify",
             "inventory_quantity": 0, "inventory_policy": "deny"},
            {"id": 49148385, "price": "189.00", "sku": "IPOD-49148385", "inventory_management": "shopify",
             "inventory_quantity": 4, "inventory_policy": "deny"},
        ],
    }  # fmt: skip
    return product | changes


def woocommerce_order(**changes: Any) -> dict[str, Any]:
    """An order of a customer."""
    order: dict[str, Any] = {
        "id": 727,
        "status": "processing",
        "currency": "EUR",
        "date_created": "2026-11-01T11:00:00",
        "date_created_gmt": "2026-11-01T10:00:00",
        "date_modified_gmt": "2026-11-01T10:05:00",
        "customer_id": 26,
        "billing": {"first_name": "Ana", "last_name": "Moser", "city": "Graz", "state": "ST", "country": "AT",
                    "email": "ana@example.org", "phone": "0316"},
        "line_items": [
            {"id": 315, "name": "Cup", "product_id": 93, "variation_id": 0, "quantity": 2, "price": 6.5,
            "sku": "C"}, {"id": 316, "name": "Pot", "product_id": 22, "variation_id": 23, "quantity": 1,
            "price": 20, "sku": "P"},
        ],
    }  # fmt: skip
    return order | changes


def saleor_order(**changes: Any) -> dict[str, Any]:
    """The payload of a subscription with the members that docs/sources.md selects."""
    order: dict[str, Any] = {
        "id": "T3JkZXI6MQ==",
        "number": "1",
        "status": "UNFULFILLED",
        "created": "2026-11-01T10:00:00+00:00",
        "updatedAt": "2026-11-01T10:00:00+00:00",
        "user": {"id": "VXNlcjox", "email": "ana@example.org", "firstName": "Ana"},
        "shippingAddress": {"city": "Graz", "countryArea": "Styria", "country": {"code": "AT"}},
        "total": {"gross": {"amount": 13, "currency": "EUR"}},
        "lines": [
            {"id": "T3JkZXJMaW5lOjE=", "productName": "Cup", "productSku": "C", "quantity": 2,
             "unitPrice": {"gross": {"amount": 6.5, "currency": "EUR"}},
             "variant": {"id": "UHY6MQ==", "product": {"id": "UHI6MQ=="}}},
        ],
    }  # fmt: skip
    return {"order": order | changes}
