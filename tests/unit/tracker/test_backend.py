"""What a shop's backend reports."""

from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any

import pytest
from pydantic import ValidationError

from services.tracker.domain.formats.backend import (
    TrackCart,
    TrackPurchase,
    TrackView,
    parse_cart,
    parse_purchase,
    parse_view,
)
from services.tracker.domain.ingest_context import IngestContext
from shared.events import OrderLine, line_id

NOW = datetime(2026, 11, 21, 8, 0, tzinfo=UTC)
PRODUCT = {"name": "Mug", "category": "Kitchen", "price": 2.55, "colour": "red"}


def context() -> IngestContext:
    numbers = count(1)
    return IngestContext("shop", NOW, NOW - timedelta(days=7300), lambda: f"new-{next(numbers)}")


def test_a_view_keeps_what_the_page_showed_and_changes_no_item() -> None:
    request = TrackView.model_validate({"userId": "u", "productId": "p", "productData": PRODUCT})

    (result,) = parse_view(request, context())

    assert (result.event_type, result.user_id, result.item_id, result.price) == ("view", "u", "p", 2.55)
    assert result.properties == {"name": "Mug", "category": "Kitchen"}
    assert (result.source, result.event_id, result.occurred_at) == ("backend", "new-1", NOW)


def test_a_view_needs_no_product_data() -> None:
    (result,) = parse_view(TrackView.model_validate({"userId": 1, "productId": 2}), context())

    assert (result.user_id, result.item_id, result.price, result.properties) == ("1", "2", None, None)


def test_a_cart_has_a_quantity() -> None:
    request = TrackCart.model_validate({"userId": "u", "productId": "p", "quantity": 3})

    (result,) = parse_cart(request, context())

    assert (result.event_type, result.quantity) == ("add_to_cart", 3.0)


def purchase(**changes: Any) -> TrackPurchase:
    items = [
        {"productId": "p", "quantity": 2, "price": 2.5},
        {"productId": "p", "quantity": 1, "price": 2.5},
        {"productId": "q", "quantity": 1},
    ]
    return TrackPurchase.model_validate({"userId": "u", "items": items} | changes)


def test_a_purchase_with_an_order_has_the_ids_of_its_lines() -> None:
    result = parse_purchase(purchase(orderId="o-1"), context())

    assert [event.event_id for event in result] == [
        line_id("shop", "o-1", OrderLine(item_id="p", n=1), "purchase"),
        line_id("shop", "o-1", OrderLine(item_id="p", n=2), "purchase"),
        line_id("shop", "o-1", OrderLine(item_id="q", n=1), "purchase"),
    ]
    assert [(event.item_id, event.quantity, event.price) for event in result] == [
        ("p", 2.0, 2.5),
        ("p", 1.0, 2.5),
        ("q", 1.0, None),
    ]
    assert {event.order_id for event in result} == {"o-1"}


def test_a_purchase_without_an_order_counts_beside_it() -> None:
    assert [event.event_id for event in parse_purchase(purchase(), context())] == ["new-1", "new-2", "new-3"]


def test_a_request_with_a_timestamp_counts_once() -> None:
    at = {"timestamp": "2026-11-21T07:59:00Z"}
    products = [TrackView.model_validate({"userId": "u", "productId": p, **at}) for p in ("p", "p", "q")]
    cart = TrackCart.model_validate({"userId": "u", "productId": "p", **at})
    first, repeated = (parse_purchase(purchase(**at), context()) for _ in range(2))

    ids = [event.event_id for product in products for event in parse_view(product, context())]
    assert ids[0] == ids[1] != ids[2]
    assert parse_cart(cart, context())[0].event_id not in ids
    assert [event.event_id for event in first] == [event.event_id for event in repeated]
    assert len({event.event_id for event in first}) == 3
    later = parse_purchase(purchase(timestamp="2026-11-21T07:59:01Z"), context())
    assert later[0].event_id != first[0].event_id


def test_long_ids_of_purchases_stay_apart() -> None:
    ids = [parse_purchase(purchase(id="e" * 250 + end), context())[0].event_id for end in "ab"]

    assert ids[0] != ids[1]


def test_a_purchase_with_an_id_counts_once() -> None:
    first, repeated = (parse_purchase(purchase(id="e"), context()) for _ in range(2))

    assert (
        [event.event_id for event in first] == [event.event_id for event in repeated] == ["e#1", "e#2", "e#3"]
    )


def test_a_guest_who_orders_is_a_session_of_that_order() -> None:
    (result, *_) = parse_purchase(purchase(userId=None, orderId="o-1"), context())

    assert (result.user_id, result.session_id) == (None, "order:o-1")


@pytest.mark.parametrize(
    ("model", "request_"),
    [
        (TrackView, {"productId": "p"}),
        (TrackView, {"userId": "u"}),
        (TrackView, {"userId": "", "productId": "p"}),
        (TrackCart, {"userId": "u", "productId": "p", "quantity": "many"}),
        (TrackPurchase, {"userId": "u", "items": []}),
        (TrackPurchase, {"userId": "u"}),
        (TrackPurchase, {"items": [{"productId": "p"}]}),
        (TrackPurchase, {"userId": "u", "items": [{"productId": "p"}] * 501}),
    ],
)
def test_what_is_not_valid_is_refused(model: type[TrackView], request_: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        model.model_validate(request_)
