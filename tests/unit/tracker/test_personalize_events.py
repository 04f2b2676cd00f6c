"""PutEvents, PutItems and PutUsers as events of ours."""

import json
import uuid
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any

import pytest

from services.tracker.domain.ingest_context import IngestContext
from services.tracker.domain.personalize import interactions, item_puts, user_puts
from services.tracker.domain.properties import CLAIMED_TIME
from shared.aws import WireError
from shared.aws.personalize.events import PutEventsRequest, PutItemsRequest, PutUsersRequest
from shared.events import InteractionRecorded, derived_id

NOW = datetime(2026, 11, 21, 8, 0, tzinfo=UTC)
SENT = int(NOW.timestamp()) - 60


def context() -> IngestContext:
    numbers = count(1)
    return IngestContext("shop", NOW, NOW - timedelta(days=7300), lambda: f"new-{next(numbers)}")


def put(*events: dict[str, Any], **changes: Any) -> list[InteractionRecorded]:
    request = {
        "trackingId": "t",
        "sessionId": "s",
        "userId": "u",
        "eventList": [{"eventType": "View", "sentAt": SENT} | event for event in events],
    } | changes
    return interactions(PutEventsRequest.model_validate(request), context())


def test_members_and_properties_say_the_same() -> None:
    cabin = {"cabinType": "Economy"}
    (member,) = put({"itemId": "i", "eventValue": 4.5, "properties": json.dumps(cabin)})
    (inside,) = put({"properties": json.dumps({"itemId": "i", "eventValue": "4.5", **cabin})})
    (columns,) = put({"properties": json.dumps({"ITEM_ID": "i", "EVENT_VALUE": 4.5, **cabin})})

    assert member == inside == columns
    assert (member.item_id, member.value, member.properties) == ("i", 4.5, cabin)
    assert member.occurred_at == NOW - timedelta(minutes=1)


def test_a_member_outranks_the_property_of_its_name() -> None:
    (result,) = put({"itemId": "i", "eventValue": 0, "properties": '{"itemId": "j", "eventValue": 9}'})

    assert (result.item_id, result.value, result.properties) == ("i", 0.0, None)


@pytest.mark.parametrize(
    ("properties", "item", "value"),
    [
        ({"eventValue": "true", "itemId": 17}, "17", None),
        ({"eventValue": True, "itemId": True}, None, None),
        ({"eventValue": {}, "itemId": []}, None, None),
        ({"eventValue": "NaN", "itemId": ""}, None, None),
        ({"eventValue": "1e999", "itemId": "i" * 257}, None, None),
        ({"eventValue": " 7 "}, None, 7.0),
    ],
)
def test_what_can_not_be_read_is_left_out_and_the_event_stays(
    properties: dict[str, Any], item: str | None, value: float | None
) -> None:
    (result,) = put({"properties": json.dumps(properties)})

    assert (result.item_id, result.value) == (item, value)


def test_types_have_one_spelling_and_keep_their_own_beside_it() -> None:
    result = put({}, {"eventType": "Product Added"}, {"eventType": "watched"})

    assert [(event.event_type, event.sender_type) for event in result] == [
        ("view", "View"),
        ("add_to_cart", "Product Added"),
        ("watched", "watched"),
    ]


def test_events_with_the_same_time_and_properties_have_one_id() -> None:
    """Whatever calls they come in: a queue's redelivery has another invocation id than the first delivery."""
    sent = {"itemId": "i", "properties": '{"shelf": "left", "rank": 2}'}
    alike = {"properties": '{"rank": 2, "shelf": "left", "ITEM_ID": "i"}', "eventType": "product viewed"}

    ids = {put(event)[0].event_id for event in (sent, sent, alike)} | {
        event.event_id for event in put(sent, sent)
    }

    assert len(ids) == 1
    assert uuid.UUID(*ids).version == 8
    assert put(sent | {"eventId": "own"})[0].event_id == "own"


@pytest.mark.parametrize(
    ("event", "request_"),
    [
        ({"sentAt": SENT + 1}, {}),
        ({"eventType": "Click"}, {}),
        ({"itemId": "j"}, {}),
        ({"itemId": None}, {}),
        ({"eventValue": 1.0}, {}),
        ({"properties": '{"shelf": "right"}'}, {}),
        ({"properties": None}, {}),
        ({"recommendationId": "RID-1"}, {}),
        ({"impression": ["i"]}, {}),
        ({"metricAttribution": {"eventAttributionSource": "mail"}}, {}),
        ({}, {"userId": "v"}),
        ({}, {"userId": None}),
        ({}, {"sessionId": "other"}),
    ],
)
def test_an_event_that_differs_in_anything_has_another_id(
    event: dict[str, Any], request_: dict[str, Any]
) -> None:
    sent = {"itemId": "i", "properties": '{"shelf": "left"}'}

    assert put(sent | event, **request_)[0].event_id != put(sent)[0].event_id


def test_an_event_from_the_future_has_its_id_from_the_time_that_it_claims() -> None:
    ahead = {"sentAt": SENT + 86_400}

    assert put(ahead)[0].event_id == put(ahead)[0].event_id != put({"sentAt": SENT + 86_401})[0].event_id


def test_an_event_before_login_belongs_to_its_session() -> None:
    (result,) = put({}, userId=None)

    assert (result.user_id, result.session_id, result.key) == (None, "s", "shop:s")


def test_everything_else_is_carried() -> None:
    (result,) = put(
        {
            "recommendationId": "RID-1",
            "impression": ["a", "b"],
            "metricAttribution": {"eventAttributionSource": "mail"},
            "properties": json.dumps({"price": "2.5", "quantity": 3, "orderId": 5}),
        }
    )

    assert (result.recommendation_id, result.impression) == ("RID-1", ("a", "b"))
    assert (result.attribution_source, result.source) == ("mail", "personalize")
    assert (result.price, result.quantity, result.order_id) == (2.5, 3.0, "5")
    assert result.properties == {"price": "2.5", "quantity": 3, "orderId": 5}


def test_a_replay_of_old_events_keeps_their_time_and_the_future_waits() -> None:
    old, ahead = put({"sentAt": 1_553_631_760}, {"sentAt": SENT + 86_400})

    assert old.occurred_at == datetime(2019, 3, 26, 20, 22, 40, tzinfo=UTC)
    assert ahead.occurred_at == NOW + timedelta(minutes=5)
    assert ahead.properties is not None
    assert CLAIMED_TIME in ahead.properties


def test_properties_that_nest_too_deep_are_invalid_input() -> None:
    with pytest.raises(WireError, match="nested deeper"):
        put({"properties": '{"a": ' + "[" * 40 + "]" * 40 + "}"})


def test_items_and_users_become_records_of_their_datasets() -> None:
    items = PutItemsRequest.model_validate(
        {
            "datasetArn": "arn:aws:personalize:eu:1:dataset/shop/ITEMS",
            "items": [{"itemId": "i", "properties": '{"genres": "a|b", "price": 2}'}, {"itemId": "j"}],
        }
    )
    users = PutUsersRequest.model_validate(
        {
            "datasetArn": "arn:aws:personalize:eu:1:dataset/shop/USERS",
            "users": [{"userId": "u", "properties": '{"gender": "f"}'}],
        }
    )

    first, second = item_puts(items, context(), "inv", None)
    (user,) = user_puts(users, context(), "inv-2", None)

    assert (first.item_id, first.tenant) == ("i", "shop")
    assert (first.fields, first.columns) == ({"price": 2.0}, {"genres": "a|b"})
    assert (second.item_id, second.fields, second.columns) == ("j", {}, {})
    assert (user.user_id, user.fields, user.columns) == ("u", {}, {"gender": "f"})
    assert user.occurred_at == NOW
    assert first.event_id == derived_id("shop", "inv", 0)
