"""The exports of Shopify and WooCommerce are read by their headers."""

from __future__ import annotations

import csv
import io
from datetime import UTC, datetime
from typing import Any

import pytest

from services.sync.domain.builtin_mappings import detect
from services.sync.domain.file_orders import StagedLine
from services.sync.domain.mapping import Kind, find_columns
from services.sync.domain.order_rows import order_row_parser
from services.sync.domain.orders import assemble_orders
from services.sync.domain.rows import item_row_parser, user_row_parser

ORDERS = """\
Name,Email,Financial Status,Paid at,Fulfillment Status,Currency,Total,Created at,Lineitem quantity,\
Lineitem name,Lineitem price,Lineitem sku,Billing Name,Shipping City,Shipping Province,Shipping Country,\
Cancelled at,Id
#1001,bob@example.org,paid,2026-11-01 10:00:01 -0400,,USD,30.00,2026-11-01 10:00:00 -0400,2,Cup,5.00,\
C-1,Bob N,Ottawa,ON,CA,,4507
#1001,bob@example.org,,,,,,2026-11-01 10:00:00 -0400,1,Pot,20.00,P-1,,,,,,
#1002,ann@example.org,refunded,,,USD,5.00,2026-11-02 10:00:00 -0400,1,Cup,5.00,C-1,Ann,Ottawa,ON,CA,,4508
#1002,ann@example.org,,,,,,2026-11-02 10:00:00 -0400,1,Pot,20.00,P-1,,,,,,
"""
PRODUCTS = """\
Handle,Title,Body (HTML),Vendor,Type,Tags,Published,Option1 Name,Variant SKU,Variant Price,Image Src,Status
cup,Cup,<p>,Acme,Kitchen,"a, b",true,Size,C-1,5.00,https://cdn.example.org/c.png,active
"""
CUSTOMERS = """\
Customer ID,First Name,Last Name,Email,Default Address City,Default Address Province Code,\
Default Address Country Code,Tags
'7,Bob,N,bob@example.org,Ottawa,ON,CA,vip
"""
WOOCOMMERCE = """\
ID,Type,SKU,Name,Published,In stock?,Stock,Sale price,Regular price,Categories,Images
93,simple,C,Cup,1,backorder,,,6.50,Kitchen,https://shop.example.org/c.png
94,simple,D,Dish,1,0,0,,8,Kitchen,
"""
WOOCOMMERCE_ORDERS = """\
order_id,order_number,date,status,order_total,order_currency,customer_id,billing_email,shipping_city,\
shipping_state,shipping_country,item_id,item_product_id,item_name,item_sku,item_quantity,item_total,item_refunded
727,727,2026-11-01 10:00:00,completed,33.00,EUR,26,ann@example.org,Ulm,BW,DE,315,93,Cup,C,2,13.00,0
727,727,2026-11-01 10:00:00,completed,33.00,EUR,26,ann@example.org,Ulm,BW,DE,316,22,Pot,P,1,20.00,0
728,728,2026-11-02 10:00:00,refunded,6.50,EUR,0,bob@example.org,Ulm,BW,DE,317,93,Cup,C,1,6.50,6.50
"""


def parsed(kind: Kind, text: str) -> tuple[str, list[Any]]:
    header, *rows = csv.reader(io.StringIO(text))
    mapping = detect(kind, header)
    layout = find_columns(mapping, kind, header)
    parsers = {"orders": order_row_parser, "items": item_row_parser, "users": user_row_parser}
    parse = parsers[kind](mapping, layout, len(header))
    return mapping.source, [parse(row) for row in rows]


def test_an_order_of_shopify_has_its_values_in_the_first_row() -> None:
    source, rows = parsed("orders", ORDERS)

    lines = [StagedLine(number, row) for number, row in enumerate(rows, 2)]
    orders = [order for order, rejected in assemble_orders(lines) if order is not None and not rejected]

    assert source == "shopify-orders"
    first, second = orders
    assert (first.kind, first.order_id, first.user_id, first.city) == (
        "order",
        "#1001",
        "bob@example.org",
        "Ottawa",
    )
    assert first.ordered_at == datetime(2026, 11, 1, 14, tzinfo=UTC)
    assert [(item.row.product_id, item.row.quantity, item.row.price) for item in first.items] == [
        ("C-1", 2, 5), ("P-1", 1, 20),
    ]  # fmt: skip
    assert (second.kind, [item.row.quantity for item in second.items]) == ("cancellation", [-1, -1])


@pytest.mark.parametrize(("date", "source"), [("date", "orders"), ("order_date", "suite-orders")])
def test_orders_of_woocommerce_have_one_row_per_item(date: str, source: str) -> None:
    name, rows = parsed("orders", WOOCOMMERCE_ORDERS.replace(",date,", f",{date},"))

    lines = [StagedLine(number, row) for number, row in enumerate(rows, 2)]
    first, second = (order for order, _ in assemble_orders(lines) if order is not None)
    assert name == f"woocommerce-{source}"
    assert (first.order_id, first.user_id, first.currency, first.city) == ("727", "26", "EUR", "Ulm")
    assert [(item.row.product_id, item.row.quantity, item.row.price) for item in first.items] == [
        ("93", 2, 6.5), ("22", 1, 20),
    ]  # fmt: skip
    assert (second.kind, second.user_id) == ("cancellation", None)


@pytest.mark.parametrize(
    ("kind", "text", "source", "identity", "fields"),
    [
        ("items", PRODUCTS, "shopify-products", "C-1", {"name": "Cup", "price": 5, "available": True}),
        ("users", CUSTOMERS, "shopify-customers", "bob@example.org", {"city": "Ottawa", "country": "CA"}),
        ("items", WOOCOMMERCE, "woocommerce-products", "93", {"price": 6.5, "available": True}),
    ],
)
def test_other_exports_are_known_by_their_headers(
    kind: Kind, text: str, source: str, identity: str, fields: dict[str, Any]
) -> None:
    name, rows = parsed(kind, text)

    assert name == source
    assert rows[0].id == identity
    assert fields.items() <= rows[0].fields.items()


def test_a_file_of_endcaps_own_columns_stays_one() -> None:
    assert detect("items", ["item_id", "name", "category", "price"]).source == "endcap"
