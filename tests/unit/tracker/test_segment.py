"""Calls of Segment and RudderStack among the events of `/v1/events`."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.tracker.domain.formats.segment import MAX_PRODUCTS
from services.tracker.domain.outcomes import AcceptedCall, Ignored, Rejected
from shared.events import InteractionRecorded
from tests.unit.tracker.segment_calls import ORDER, TRACK, only_event, outcome


def test_a_track_call_is_what_its_event_names_with_the_item_of_its_properties() -> None:
    result = only_event(
        TRACK
        | {
            "timestamp": "2026-11-20T11:26:09.8002130Z",
            "properties": {"product_id": "sku-42", "price": 12.5, "quantity": 2, "cart_id": "c"},
            "context": {"ip": "192.0.2.1"},
            "integrations": {"All": True},
        }
    )

    assert (result.event_type, result.sender_type, result.item_id) == (
        "add_to_cart",
        "Product Added",
        "sku-42",
    )
    assert (result.price, result.quantity, result.user_id, result.session_id) == (12.5, 2, "u", "a")
    assert (result.event_id, result.source) == ("m", "segment")
    assert result.occurred_at == datetime(2026, 11, 20, 11, 26, 9, 800_213, tzinfo=UTC)
    assert result.properties == {"product_id": "sku-42", "price": 12.5, "quantity": 2, "cart_id": "c"}


@pytest.mark.parametrize(
    ("event", "canonical"),
    [
        ("Product Viewed", "view"),
        ("Viewed Product", "view"),
        ("product_clicked", "click"),
        ("Product Added", "add_to_cart"),
        ("Product Removed", "remove_from_cart"),
        ("Product Added to Wishlist", "wishlist"),
        ("Cart Viewed", "view_cart"),
        ("Checkout Started", "begin_checkout"),
        ("Products Searched", "search"),
        ("Order Refunded", "refund"),
        ("Order Updated", "order_update"),
        ("Order Cancelled", "cancel"),
        ("Subscribed", "subscribed"),
    ],
)
def test_names_of_the_specification_are_the_types_of_every_other_format(event: str, canonical: str) -> None:
    assert only_event(TRACK | {"event": event, "properties": {"sku": "i"}}).event_type == canonical


@pytest.mark.parametrize(
    ("properties", "item"),
    [
        ({"product_id": "i", "sku": "s"}, "i"),
        ({"productId": "i"}, "i"),
        ({"Product ID": 17}, "17"),
        ({"item_id": "i", "id": "x"}, "i"),
        ({"sku": "s", "product_id": ""}, "s"),
        ({"sku": "s", "product_id": None}, "s"),
    ],
)
def test_the_item_goes_by_the_names_of_the_specification(properties: dict[str, Any], item: str) -> None:
    assert only_event(TRACK | {"properties": properties}).item_id == item


def test_page_and_screen_calls_are_events_of_these_types() -> None:
    page = only_event(
        {"type": "page", "anonymousId": "a", "userId": "", "name": "Home", "properties": {"path": "/"}}
    )
    screen = only_event({"type": "Screen", "userId": "u", "anonymousId": None, "messageId": "m"})

    assert (page.event_type, page.user_id, page.session_id) == ("page", None, "a")
    assert page.properties == {"path": "/", "name": "Home"}
    assert (screen.event_type, screen.user_id, screen.session_id) == ("screen", "u", None)


@pytest.mark.parametrize(
    "call",
    [
        {"type": "identify", "userId": "u", "anonymousId": "a", "traits": {"email": "x@example.org"}},
        {"type": "alias", "userId": "u", "previousId": "a"},
        {"type": "alias", "userId": "u", "anonymousId": "a"},
    ],
)
def test_identify_and_alias_tie_a_session_to_a_user_and_keep_no_traits(call: dict[str, Any]) -> None:
    result = only_event(call | {"messageId": "m"})

    assert (result.user_id, result.session_id, result.item_id) == ("u", "a", None)
    assert (result.event_type, result.properties) == (call["type"], None)


@pytest.mark.parametrize(
    "call",
    [
        {"type": "identify", "userId": "u"},
        {"type": "identify", "anonymousId": "a"},
        {"type": "alias", "userId": "u", "previousId": "u"},
        {"type": "group", "userId": "u", "groupId": "g"},
        {"type": "group"},
    ],
)
def test_calls_that_say_nothing_that_is_kept_are_ignored_with_a_reason(call: dict[str, Any]) -> None:
    result = outcome(call | {"messageId": "m"})

    assert isinstance(result, Ignored)
    assert result.id == "m"
    assert result.reason.endswith(".")


@pytest.mark.parametrize(
    ("call", "reason"),
    [
        (TRACK | {"event": None}, "`event`"),
        (TRACK | {"properties": {}}, "Product Added needs product_id, item_id or sku in properties."),
        (TRACK, "needs product_id"),
        (TRACK | {"event": {"name": "Product Added"}}, "event: Input should be a valid string"),
        (TRACK | {"userId": "", "anonymousId": None}, "userId or anonymousId"),
        (TRACK | {"userId": "u" * 257, "properties": {"sku": "i"}}, "userId"),
        (TRACK | {"timestamp": "soon", "properties": {"sku": "i"}}, "timestamp"),
        (TRACK | {"properties": ["i"]}, "properties"),
        (TRACK | {"properties": {"sku": "i" * 257}}, "item_id"),
        (TRACK | {"properties": {"sku": "i", "price": 1e13}}, "1e+12"),
        (TRACK | {"properties": {"sku": "i", "note": "a\0"}}, "NUL"),
        (ORDER | {"properties": {"order_id": "o", "products": [{"sku": "i"}, {"name": "?"}]}}, "each entry"),
        (ORDER | {"properties": {"order_id": "o", "products": ["i"]}}, "must be an object"),
        (ORDER | {"properties": {"products": [{"sku": "i"}] * (MAX_PRODUCTS + 1)}}, "500 are allowed"),
    ],
)
def test_a_call_that_can_not_be_kept_is_refused_with_a_sentence(call: dict[str, Any], reason: str) -> None:
    result = outcome(call)

    assert isinstance(result, Rejected), result
    assert reason in result.reason


@pytest.mark.parametrize(
    "event",
    [
        {"user_id": "u", "event_type": "track", "item_id": "i"},
        {"userId": "u", "eventType": "page", "type": "track", "itemId": "i"},
        {"userId": "u", "event": "Product Added", "itemId": "i", "properties": {"sku": "other"}},
        {"userId": "u", "type": "View", "itemId": "i"},
    ],
)
def test_events_of_our_own_format_stay_what_they_were(event: dict[str, Any]) -> None:
    result = outcome(event)

    assert isinstance(result, InteractionRecorded)
    assert (result.item_id, result.source) == ("i", "events")


def test_a_track_call_without_a_type_is_one_by_its_members() -> None:
    call = {key: value for key, value in TRACK.items() if key != "type"} | {"properties": {"sku": "i"}}

    assert only_event(call).item_id == "i"


def _mostly(good: st.SearchStrategy[Any], bad: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """Nine times out of ten what is right: else hardly any call would have events."""
    return st.integers(0, 9).flatmap(lambda number: bad if number == 0 else good)


_TEXT = st.text(max_size=5) | st.sampled_from(["", "u", "\0", "\ud800", "x" * 257])
_SCALAR = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | _TEXT
_JSON = st.recursive(
    _SCALAR, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_TEXT, inner, max_size=3)
)
_ID = _mostly(st.text("ab", min_size=1, max_size=3) | st.integers(0, 9), _SCALAR)
_NUMBER = _mostly(st.integers(0, 9) | st.just("2.5"), _SCALAR)
_PRODUCT = st.fixed_dictionaries(
    {"product_id": _ID},
    optional={"id": _ID, "price": _NUMBER, "quantity": _NUMBER, "name": _mostly(_ID, _JSON)},
)
_PROPERTIES = st.fixed_dictionaries(
    {"sku": _ID},
    optional={
        "order_id": _ID,
        "price": _NUMBER,
        "value": _NUMBER,
        "currency": _ID,
        "note": _mostly(_ID, _JSON),
    }
    | {"products": _mostly(st.lists(_PRODUCT, max_size=3), _JSON)},
)
_TIME = _mostly(st.sampled_from(["2026-11-20T11:26:09Z", 1_790_000_000, "0001-01-01"]), _JSON)
_CALL = st.fixed_dictionaries(
    {"type": st.sampled_from(["track", "track", "track", "page", "screen", "identify", "alias", "group"])}
    | {
        "userId": _ID,
        "event": _mostly(st.sampled_from(["Order Completed", "Product Viewed", "Cart Viewed"]), _JSON),
    }
    | {"properties": _mostly(_PROPERTIES, _JSON)},
    optional=dict.fromkeys(("anonymousId", "previousId", "messageId", "name"), _ID)
    | dict.fromkeys(("timestamp", "originalTimestamp"), _TIME),
)


@given(_CALL)
def test_whatever_a_call_holds_its_events_are_records_that_every_consumer_reads(call: dict[str, Any]) -> None:
    result = outcome(call)

    assert isinstance(result, AcceptedCall | Ignored | Rejected)
    if isinstance(result, AcceptedCall):
        for event in result.events:
            document = event.model_dump_json(exclude_none=True)
            assert InteractionRecorded.model_validate_json(document) == event
            assert orjson.loads(document)["event_id"] == event.event_id
        assert len({event.event_id for event in result.events}) == len(result.events)
