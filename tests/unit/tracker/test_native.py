"""Endcap's own format: names, times, ids, and what is refused."""

import json
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.tracker.domain.batch import parse_events
from services.tracker.domain.ingest_context import IngestContext
from services.tracker.domain.outcomes import Rejected
from services.tracker.domain.properties import CLAIMED_TIME
from shared.events import InteractionRecorded, OrderLine, line_id

NOW = datetime(2026, 11, 21, 8, 0, tzinfo=UTC)
EVENT = {"user_id": "u", "event_type": "view", "item_id": "i"}


def context() -> IngestContext:
    numbers = count(1)
    return IngestContext("shop", NOW, NOW - timedelta(days=7300), lambda: f"new-{next(numbers)}")


def recorded(event: Any) -> InteractionRecorded:
    (result,) = parse_events([event], context(), max_bytes=None)
    assert isinstance(result, InteractionRecorded), result
    return result


def refused(event: Any, max_bytes: int | None = None) -> Rejected:
    (result,) = parse_events([event], context(), max_bytes=max_bytes)
    assert isinstance(result, Rejected), result
    return result


@pytest.mark.parametrize(
    "event",
    [
        {"user_id": "u", "session_id": "s", "event_type": "view", "item_id": "i", "event_id": "e"},
        {"userId": "u", "sessionId": "s", "type": "View", "itemId": "i", "id": "e"},
        {"userId": "u", "anonymousId": "s", "event": "Product Viewed", "productId": "i", "messageId": "e"},
    ],
)
def test_fields_go_by_the_names_that_storefronts_use(event: dict[str, Any]) -> None:
    result = recorded(event)

    assert (result.tenant, result.event_id, result.user_id, result.session_id) == ("shop", "e", "u", "s")
    assert (result.event_type, result.item_id, result.source) == ("view", "i", "events")
    assert result.sender_type == next(
        event[name] for name in ("event_type", "type", "event") if name in event
    )
    assert result.occurred_at == result.received_at == NOW


def test_numbers_as_ids_are_taken_for_text() -> None:
    result = recorded({"userId": 17850, "type": "purchase", "productId": 85123, "id": 7, "price": "2.55"})

    assert (result.user_id, result.item_id, result.event_id, result.price) == ("17850", "85123", "7", 2.55)


def test_an_event_shows_no_more_items_than_an_answer_holds() -> None:
    shown = [f"item {n}" for n in range(500)]

    assert recorded(EVENT | {"impression": shown}).impression == tuple(shown)
    assert (
        "impression: Tuple should have at most 500 items"
        in refused(EVENT | {"impression": [*shown, "one"]}).reason
    )


def test_every_field_is_carried() -> None:
    event = EVENT | {
        "event_id": "e",
        "session_id": "s",
        "value": 3,
        "price": 2.5,
        "quantity": 4,
        "order_id": "o",
        "recommendationId": "RID-1",
        "impression": ["a", "b"],
        "city": "Berlin",
        "province": "BE",
        "country": "Germany",
        "properties": {"page": {"url": "/"}},
        "historical": True,
    }

    result = recorded(event)

    assert (result.value, result.price, result.quantity, result.order_id) == (3.0, 2.5, 4.0, "o")
    assert (result.recommendation_id, result.impression) == ("RID-1", ("a", "b"))
    assert (result.city, result.province, result.country) == ("Berlin", "BE", "Germany")
    assert result.properties == {"page": {"url": "/"}}
    assert result.historical


def test_what_the_format_does_not_know_is_kept_among_the_properties() -> None:
    result = recorded(EVENT | {"name": "Mug", "category": "Kitchen", "properties": {"name": "Cup"}})

    assert result.properties == {"name": "Cup", "category": "Kitchen"}


def test_an_event_without_an_id_gets_one_and_another_gets_another() -> None:
    first, second = parse_events([EVENT, EVENT], context(), max_bytes=None)

    assert isinstance(first, InteractionRecorded)
    assert isinstance(second, InteractionRecorded)
    assert (first.event_id, second.event_id) == ("new-1", "new-2")


def test_an_event_with_a_timestamp_and_without_an_id_has_the_same_one_again() -> None:
    at = "2026-11-21T07:59:00.123456Z"
    same: list[dict[str, object]] = [
        EVENT | {"timestamp": at, "shelf": "left", "rank": 1},
        EVENT | {"timestamp": at, "properties": {"rank": 1, "shelf": "left"}},
        EVENT | {"timestamp": "2026-11-21T08:59:00.123456+01:00", "rank": 1, "shelf": "left"},
        EVENT
        | {"timestamp": "2026-11-21T07:59:00.123456", "type": "Product Viewed", "rank": 1, "shelf": "left"},
    ]
    same[3].pop("event_type")
    different = [
        EVENT | {"timestamp": at, "shelf": "left", "rank": 2},
        EVENT | {"timestamp": "2026-11-21T07:59:00.123457Z", "shelf": "left", "rank": 1},
        EVENT | {"timestamp": at, "shelf": "left", "rank": 1, "session_id": "s"},
        EVENT | {"timestamp": at, "shelf": "left", "rank": 1, "price": 1},
        EVENT | {"timestamp": at, "shelf": "left", "rank": 1, "city": "Bonn"},
    ]

    assert len({recorded(event).event_id for event in same}) == 1
    assert len({recorded(event).event_id for event in (same[0], *different)}) == 1 + len(different)


@pytest.mark.parametrize("at", ["0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00", "1969-12-31"])
def test_an_event_from_any_time_has_an_id(at: str) -> None:
    assert recorded(EVENT | {"timestamp": at}).event_id == recorded(EVENT | {"timestamp": at}).event_id


def test_ids_of_later_events_are_larger() -> None:
    """The log's index is fast when new ids come at its end."""
    ids = [recorded(EVENT | {"timestamp": f"2026-11-21T07:{n:02}:00Z"}).event_id for n in range(60)]

    assert ids == sorted(ids)


def test_lines_of_an_order_have_the_ids_that_the_shop_gives_them() -> None:
    line = {"user_id": "u", "event_type": "Order Completed", "order_id": "o-1", "item_id": "i"}

    result = parse_events([line, line, line | {"item_id": "j"}], context(), max_bytes=None)

    assert [event.event_id for event in result if isinstance(event, InteractionRecorded)] == [
        line_id("shop", "o-1", OrderLine(item_id="i", n=1), "purchase"),
        line_id("shop", "o-1", OrderLine(item_id="i", n=2), "purchase"),
        line_id("shop", "o-1", OrderLine(item_id="j", n=1), "purchase"),
    ]


@pytest.mark.parametrize(
    "timestamp",
    [
        "2026-11-20T10:00:00Z",
        "2026-11-20T11:00:00+01:00",
        "2026-11-20T10:00:00",
        1795168800,
        1795168800.0,
        1795168800000,
        "1795168800",
    ],
)
def test_a_time_comes_in_any_usual_form(timestamp: Any) -> None:
    assert recorded(EVENT | {"timestamp": timestamp}).occurred_at == datetime(2026, 11, 20, 10, tzinfo=UTC)


def test_a_clock_that_runs_ahead_is_held_back_and_that_is_noted() -> None:
    result = recorded(EVENT | {"timestamp": "2027-01-01T00:00:00Z", "properties": {"a": 1}})

    assert result.occurred_at == NOW + timedelta(minutes=5)
    assert result.properties == {"a": 1, CLAIMED_TIME: "2027-01-01T00:00:00+00:00"}
    near = recorded(EVENT | {"timestamp": (NOW + timedelta(minutes=4)).isoformat()})
    assert near.occurred_at == NOW + timedelta(minutes=4)
    assert near.properties is None


def test_a_clock_that_was_never_set_is_noted() -> None:
    result = recorded(EVENT | {"timestamp": 0})

    assert result.occurred_at == NOW - timedelta(days=7300)
    assert result.properties == {CLAIMED_TIME: "1970-01-01T00:00:00+00:00"}


@pytest.mark.parametrize(
    ("event", "reason"),
    [
        ("text", "JSON object"),
        (None, "JSON object"),
        ({}, "event_type"),
        ({"event_type": "view", "item_id": "i"}, "user_id or session_id"),
        (EVENT | {"user_id": ""}, "user_id"),
        (EVENT | {"user_id": "u" * 257}, "user_id"),
        (EVENT | {"item_id": ["i"]}, "item_id"),
        (EVENT | {"item_id": "nul\x00"}, "NUL"),
        (EVENT | {"user_id": "half \ud800"}, "user_id"),
        (EVENT | {"price": "cheap"}, "price"),
        (EVENT | {"price": float("nan")}, "price"),
        (EVENT | {"value": float("inf")}, "value"),
        (EVENT | {"timestamp": "yesterday"}, "timestamp"),
        (EVENT | {"timestamp": 1e300}, "timestamp"),
        (EVENT | {"properties": "text"}, "properties"),
        (EVENT | {"properties": {"a": "nul\x00"}}, "NUL"),
        (EVENT | {"properties": {"half": "\ud800"}}, "JSON"),
        (EVENT | {"more": "\ud800"}, "JSON"),
        (EVENT | {"impression": "i"}, "impression"),
    ],
)
def test_what_is_not_valid_is_refused_with_the_reason(event: Any, reason: str) -> None:
    assert reason in refused(event).reason


def test_the_answer_names_the_event_that_was_refused() -> None:
    assert refused({"id": "e-7", "type": "view"}).id == "e-7"
    assert refused({"messageId": 7, "type": "view", "userId": []}).id == "7"


def test_an_event_that_is_too_large_is_refused_alone() -> None:
    large = EVENT | {"properties": {"a": "x" * 2000}}

    result = parse_events([EVENT, large], context(), max_bytes=1000)

    assert isinstance(result[0], InteractionRecorded)
    assert isinstance(result[1], Rejected)
    assert "1000 bytes" in result[1].reason


def test_deep_nesting_is_refused() -> None:
    def nested(levels: int) -> dict[str, Any]:
        value: Any = 1
        for _ in range(levels):
            value = [value]
        return EVENT | {"properties": {"a": value}}

    assert recorded(nested(30)).properties
    assert "deeper" in refused(nested(40)).reason
    assert refused(nested(400))


JSON = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=9),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=9), inner, max_size=4),
    max_leaves=12,
)
FIELDS = st.sampled_from(
    ["user_id", "sessionId", "type", "item_id", "timestamp", "price", "properties", "impression", "id", "x"]
)


@given(st.lists(st.dictionaries(FIELDS, JSON) | JSON, max_size=4))
def test_whatever_comes_the_good_event_beside_it_is_kept(events: list[Any]) -> None:
    result = parse_events([*events, EVENT], context(), max_bytes=500)

    assert len(result) == len(events) + 1
    assert isinstance(result[-1], InteractionRecorded)
    for event in result:
        if isinstance(event, InteractionRecorded):
            document = event.model_dump_json(exclude_none=True)
            assert "\x00" not in json.dumps(orjson.loads(document), ensure_ascii=False)
            assert InteractionRecorded.model_validate_json(document).event_id == event.event_id
