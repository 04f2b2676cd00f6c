"""Orders and products of calls of Segment."""

from __future__ import annotations

from services.tracker.domain.batch import MAX_CALL_EVENTS, parse_events
from services.tracker.domain.formats.segment import MAX_PRODUCTS
from services.tracker.domain.outcomes import AcceptedCall
from shared.events import OrderLine, line_id
from tests.unit.tracker.segment_calls import ORDER, TRACK, context, only_event, outcome, recorded


def test_each_product_of_an_order_is_the_line_that_the_shop_reports_too() -> None:
    lines = recorded(ORDER)
    monopoly, uno = "507f1f77bcf86cd799439011", "505bd76785ebb509fc183733"
    order = "50314b8e9bcf000000000000"

    assert [(line.event_type, line.item_id, line.price, line.quantity, line.order_id) for line in lines] == [
        ("purchase", monopoly, 19.0, 1.0, order),
        ("purchase", uno, 3.0, 2.0, order),
        ("purchase", uno, 3.0, 2.0, order),
    ]
    assert [line.event_id for line in lines] == [
        line_id("shop", order, OrderLine(item_id=item, n=n), "purchase")
        for item, n in ((monopoly, 1), (uno, 1), (uno, 2))
    ]
    assert lines[0].properties == ORDER["properties"]["products"][0] | {"currency": "USD"}  # type: ignore[index]
    assert outcome(ORDER).id == "m"


def test_the_same_order_twice_in_a_request_is_one() -> None:
    result = parse_events([ORDER, ORDER | {"messageId": "m2"}], context(), max_bytes=None)

    first, second = (lines.events for lines in result if isinstance(lines, AcceptedCall))
    assert [line.event_id for line in first] == [line.event_id for line in second]


def test_products_without_an_order_have_ids_of_the_message() -> None:
    products = [{"product_id": "i"}, {"id": 7}, {"sku": "i"}]
    call = TRACK | {"event": "Product List Viewed", "properties": {"list_id": "l", "products": products}}

    assert [(line.event_id, line.item_id) for line in recorded(call)] == [
        ("m#1", "i"),
        ("m#2", "7"),
        ("m#3", "i"),
    ]
    long = [line.event_id for line in recorded(call | {"messageId": "m" * 256})]
    assert long == [line.event_id for line in recorded(call | {"messageId": "m" * 256})]
    assert len(set(long)) == 3


def test_a_call_without_a_message_id_has_the_same_ids_again_when_it_has_a_time() -> None:
    call = {key: value for key, value in TRACK.items() if key != "messageId"}
    dated = call | {"originalTimestamp": "2026-11-20T11:00:00Z", "properties": {"sku": "i"}}
    listed = dated | {"event": "Cart Viewed", "properties": {"products": [{"sku": "i"}, {"sku": "i"}]}}

    assert only_event(dated).event_id == only_event(dated).event_id
    first, repeated = ([line.event_id for line in recorded(listed)] for _ in range(2))
    assert first == repeated
    assert len(set(first)) == 2
    assert only_event(call | {"properties": {"sku": "i"}}).event_id == "new-1"


def test_an_order_without_products_counts_with_its_value() -> None:
    result = only_event(ORDER | {"properties": {"order_id": 7, "revenue": "25.00", "total": 27.5}})

    assert (result.event_type, result.item_id, result.order_id, result.value) == ("purchase", None, "7", 25.0)
    assert result.event_id == "m"


def test_products_of_a_request_are_bounded() -> None:
    call = TRACK | {"event": "Cart Viewed", "properties": {"products": [{"sku": "i"}] * MAX_PRODUCTS}}
    most = MAX_CALL_EVENTS // MAX_PRODUCTS

    result = parse_events([call] * (most + 1), context(), max_bytes=None)

    assert [isinstance(each, AcceptedCall) for each in result] == [True] * most + [False]
