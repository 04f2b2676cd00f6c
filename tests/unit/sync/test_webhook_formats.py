"""Bodies of webhooks as orders, items, users and carts."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import orjson
import pytest
from pydantic import ValidationError

from services.sync.domain.records import (
    CartRecord,
    ErasureRecord,
    Ignored,
    ItemRecord,
    OrderRecord,
    RefundRecord,
    UserRecord,
)
from services.sync.domain.sources import Webhook
from services.sync.domain.webhooks.deliveries import names_user, parse
from shared.errors import Permanent
from tests.unit.sync.webhook_bodies import (
    saleor_order,
    shopify_order,
    shopify_product,
    shopify_refund,
    woocommerce_order,
)

NOW = datetime(2026, 11, 3, tzinfo=UTC)
PLACED = datetime(2026, 11, 1, 14, tzinfo=UTC)


def read(form: str, topic: str, body: Any, **more: Any) -> Any:
    webhook = Webhook.model_validate({"format": form, **more})
    found = parse(webhook, topic, orjson.dumps(body), NOW)
    return found if isinstance(found, Ignored) or len(found) > 1 else found[0]


def test_lines_of_one_product_are_told_apart_by_their_line_ids() -> None:
    order = read("shopify", "orders/create", shopify_order())

    assert isinstance(order, OrderRecord)
    assert (order.order_id, order.user_id, order.customer_name) == ("450789469", "207119551", "Bob Norman")
    assert (order.ordered_at, order.updated_at, order.bought) == (PLACED, PLACED, True)
    assert (order.city, order.province, order.country, order.currency) == (
        "Ottawa",
        "Ontario",
        "Canada",
        "USD",
    )
    assert [(line.key, line.product_id) for line in order.lines] == [
        ("466157049", "632910392"), ("518995019", "632910392"), ("703073504", "632910392"),
    ]  # fmt: skip
    assert {line.price for line in order.lines} == {199.0}


@pytest.mark.parametrize(
    ("changes", "bought", "cancelled"),
    [
        ({"cancelled_at": "2026-11-02T00:00:00Z"}, False, True),
        ({"financial_status": "refunded"}, False, False),
        ({"financial_status": "voided"}, False, True),
        ({"financial_status": "partially_refunded"}, True, False),
        ({"financial_status": "pending"}, True, False),
    ],
)
def test_an_order_of_shopify_may_be_undone(
    changes: dict[str, Any], bought: object, cancelled: object
) -> None:
    order = read("shopify", "orders/updated", shopify_order(**changes))

    assert (order.bought, order.cancelled) == (bought, cancelled)


def test_a_refund_says_the_same_alone_and_in_its_order() -> None:
    alone = read("shopify", "refunds/create", shopify_refund())
    within = read("shopify", "orders/updated", shopify_order(refunds=[shopify_refund()]))

    assert isinstance(alone, RefundRecord)
    assert alone.returns == within.returns
    assert (alone.order_id, alone.returns[0].line_key, alone.returns[0].quantity) == (
        "450789469",
        "703073504",
        1,
    )


@pytest.mark.parametrize(
    ("changes", "options", "user_id"),
    [
        ({"customer": None}, {}, None),
        ({"customer": None}, {"user_id": "email"}, "bob@example.org"),
        ({}, {"user_id": "email"}, "bob@example.org"),
        ({"customer": {"id": "gid://shopify/Customer/7"}}, {}, "7"),
    ],
)
def test_the_user_is_who_the_source_says(changes: dict[str, Any], options: Any, user_id: str | None) -> None:
    assert read("shopify", "orders/create", shopify_order(**changes), options=options).user_id == user_id


def test_a_product_is_one_item_or_one_for_each_variant() -> None:
    item = read("shopify", "products/update", shopify_product())
    variants = read("shopify", "products/update", shopify_product(), options={"item_id": "sku"})

    assert isinstance(item, ItemRecord)
    assert item.fields["price"] == 189.0
    assert item.fields["available"] is True
    assert item.attributes["tags"] == ["Emotive", "Flash Memory"]
    assert [(each.item_id, each.fields["available"]) for each in variants] == [
        ("IPOD-39072856", False), ("IPOD-49148385", True),
    ]  # fmt: skip
    for hidden in ({"status": "draft"}, {"published_at": None}):
        assert read("shopify", "products/update", shopify_product(**hidden)).fields["available"] is False
    deleted = read("shopify", "products/delete", {"id": 632910392})
    assert (deleted.item_id, deleted.fields, deleted.updated_at) == ("632910392", {"available": False}, NOW)


def test_carts_and_customers_of_shopify() -> None:
    customer = {
        "id": 7,
        "first_name": "Ann",
        "default_address": {"city": "Bonn"},
        "updated_at": "2026-11-01T00:00:00Z",
    }
    cart = {
        "token": "t1",
        "updated_at": "2026-11-01T00:00:00Z",
        "line_items": [{"id": 1, "product_id": 5, "quantity": 2}],
    }

    user, line = read("shopify", "customers/update", customer), read("shopify", "carts/update", cart)
    assert isinstance(user, UserRecord)
    assert user.fields == {"name": "Ann", "city": "Bonn"}
    assert isinstance(line, CartRecord)
    assert (line.session_id, line.item_id, line.quantity) == ("t1", "5", 2)


@pytest.mark.parametrize(
    ("form", "topic", "body"),
    [
        ("shopify", "orders/create", shopify_order(test=True)),
        ("shopify", "themes/publish", {"id": 1}),
        ("shopify", "refunds/create", {"id": 1, "order_id": 2, "refund_line_items": []}),
        ("shopify", "customers/data_request", {"customer": {"id": 1}}),
        ("woocommerce", "order.deleted", {"id": 1}),
        ("woocommerce", "coupon.created", {"id": 1}),
        ("saleor", "page_created", {"page": {}}),
    ],
)
def test_what_brings_nothing_says_why(form: str, topic: str, body: Any) -> None:
    ignored = read(form, topic, body)

    assert isinstance(ignored, Ignored)
    assert ignored.reason.endswith(".")


def test_a_request_for_data_says_where_the_export_is() -> None:
    ignored = read("shopify", "customers/data_request", {"customer": {"id": 207119551}})

    assert isinstance(ignored, Ignored)
    assert "GET /v1/user-exports/207119551 of the engine" in ignored.reason


@pytest.mark.parametrize(
    ("form", "topic", "body"),
    [
        ("shopify", "orders/create", {}),
        ("shopify", "orders/create", shopify_order(created_at="yesterday")),
        ("shopify", "orders/create", shopify_order(line_items={"id": 1})),
        ("shopify", "orders/create", shopify_order(id="x" * 300)),
        ("shopify", "orders/create", []),
        ("woocommerce", "order.updated", woocommerce_order(line_items=[1])),
        ("saleor", "order_created", [1]),
    ],
)
def test_a_body_that_can_not_be_used_is_kept_for_a_person(form: str, topic: str, body: Any) -> None:
    with pytest.raises(Permanent, match=r".+\."):
        read(form, topic, body)


@pytest.mark.parametrize(
    ("topic", "body", "user_id"),
    [
        ("customers/redact", {"shop_id": 1, "customer": {"id": 7, "email": "a@b.c"}}, "7"),
        ("shop/redact", {"shop_id": 1}, None),
    ],
)
def test_a_request_to_erase_names_the_user_or_all(topic: str, body: Any, user_id: str | None) -> None:
    assert read("shopify", topic, body) == ErasureRecord(user_id=user_id)


@pytest.mark.parametrize(
    ("status", "bought", "cancelled"),
    [("processing", True, False), ("completed", True, False), ("pending", False, False),
     ("cancelled", False, True), ("refunded", False, False)],
)  # fmt: skip
def test_an_order_of_woocommerce_is_bought_once_it_is_paid(
    status: str, bought: object, cancelled: object
) -> None:
    order = read("woocommerce", "order.updated", woocommerce_order(status=status))

    assert (order.bought, order.cancelled, order.user_id) == (bought, cancelled, "26")
    assert order.ordered_at == datetime(2026, 11, 1, 10, tzinfo=UTC)
    assert [(line.key, line.product_id, line.quantity) for line in order.lines] == [
        ("315", "93", 2),
        ("316", "22", 1),
    ]


def test_a_guest_of_woocommerce_has_no_id() -> None:
    assert read("woocommerce", "order.created", woocommerce_order(customer_id=0)).user_id is None


def test_both_payloads_of_saleor_are_read_alike() -> None:
    line = {"id": "T3JkZXJMaW5lOjE=", "product_sku": "C", "quantity": 2, "unit_price_gross_amount": "6.50"}
    fixed = {
        "type": "Order", "id": "T3JkZXI6MQ==", "status": "unfulfilled", "created": "2026-11-01T10:00:00Z",
        "user_email": "ana@example.org", "lines": [line],
    }  # fmt: skip
    options = {"item_id": "sku", "user_id": "email"}

    old = read("saleor", "order_created", [fixed], options=options)
    new = read("saleor", "order_updated", saleor_order(), options=options)

    assert (old.order_id, old.user_id, old.lines[0].product_id) == (new.order_id, new.user_id, "C")
    assert (old.lines[0].price, new.lines[0].price, new.province) == (6.5, 6.5, "Styria")
    assert read("saleor", "order_cancelled", saleor_order(status="CANCELED")).cancelled


def test_a_generic_body_is_read_by_paths() -> None:
    mapping = {
        "kind": "orders", "select": "$.data[*]", "timezone": "Asia/Karachi", "order_prefix": "web-",
        "fields": {"order_id": "$.nr", "ordered_at": "$.date", "status": "$.state", "user_id": "$.buyer.mail",
                   "currency": "PKR"},
        "lines": "$.rows[*]",
        "line_fields": {"product_id": "$.art", "quantity": "$.n", "price": "$.p", "returned": "$.back"},
        "bought": ["Paid"],
    }  # fmt: skip
    rows = [{"art": 7, "n": "2", "p": "3.5", "back": 1}]
    first = {"nr": 1, "date": "2026-11-01 05:00:00", "state": "PAID", "buyer": {"mail": "a"}, "rows": rows}
    body = {"data": [first, {"nr": 2, "date": 1_762_000_000, "state": "open", "rows": rows}]}

    paid, unpaid = read("generic", "", body, mappings=[mapping])

    assert (paid.order_id, paid.bought, unpaid.bought, paid.currency) == ("web-1", True, False, "PKR")
    assert paid.ordered_at == datetime(2026, 11, 1, tzinfo=UTC)
    assert (paid.lines[0].product_id, paid.lines[0].quantity, paid.returns[0].quantity) == ("7", 2, 1)


@pytest.mark.parametrize(
    "mapping",
    [
        {"kind": "items", "fields": {}},
        {"kind": "items", "fields": {"item_id": "$["}},
        {"kind": "items", "fields": {"item_id": "$.id", "colour": "$.c"}},
        {"kind": "orders", "fields": {"order_id": "$.id", "ordered_at": "$.at"}},
        {"kind": "users", "fields": {"user_id": "$.id"}, "timezone": "Mars"},
    ],
)
def test_a_mapping_is_checked_when_it_is_sent(mapping: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        Webhook.model_validate({"format": "generic", "mappings": [mapping]})


@pytest.mark.parametrize(
    ("body", "named"),
    [
        ({"a": [{"id": 7}]}, True),
        ({"a": "gid://shopify/Customer/7"}, True),
        ({"a": 77}, False),
        ({"a7": "x7"}, False),
    ],
)
def test_a_delivery_names_a_user_as_a_whole_value(body: Any, named: object) -> None:
    assert names_user(orjson.dumps(body), "7") is named
