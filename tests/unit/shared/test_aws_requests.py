"""Limits of the requests of Personalize, which boto3 does not check."""

import json
from typing import Any

import orjson
import pytest

from shared.aws import WireError
from shared.aws.personalize.events import PutEventsRequest, PutItemsRequest
from shared.aws.personalize.runtime import GetPersonalizedRankingRequest, GetRecommendationsRequest
from shared.aws.protocols import parse
from tests.unit.shared.aws_routes import ARN


def an_event(**changes: Any) -> dict[str, Any]:
    return {"eventType": "View", "sentAt": 1_700_000_000} | changes


def put_events(*events: dict[str, Any], **changes: Any) -> bytes:
    return json.dumps(
        {"trackingId": "t", "sessionId": "s", "eventList": events or [an_event()]} | changes
    ).encode()


@pytest.mark.parametrize(
    "body",
    [
        put_events(*[an_event()] * 11),
        put_events(an_event(impression=["i"] * 26)),
        put_events(an_event(impression=[])),
        put_events(an_event(properties=json.dumps({"a": "x" * 1016}))),
        put_events(an_event(properties="[1]")),
        put_events(an_event(properties="{")),
        put_events(an_event(properties='{"a": "\\u0000"}')),
        put_events(an_event(recommendationId="r" * 41)),
        put_events(an_event(itemId="")),
        put_events(an_event(itemId="i" * 257)),
        put_events(an_event(itemId="nul\x00")),
        put_events(an_event(eventType=None)),
        put_events(an_event(sentAt=1_700_000_000_000)),
        put_events(an_event(sentAt="soon")),
        put_events(an_event(sentAt=float("inf"))).replace(b"Infinity", b'"inf"'),
        put_events(an_event(eventValue="NaN")),
        put_events(an_event(metricAttribution={"eventAttributionSource": "  "})),
        put_events(eventList=[]),
        put_events(sessionId=None),
        put_events(trackingId="t" * 257),
    ],
)
def test_what_boto3_lets_through_is_checked(body: bytes) -> None:
    with pytest.raises(WireError) as refused:
        parse(PutEventsRequest, body)

    assert refused.value.code == "InvalidInputException"


@pytest.mark.parametrize(
    ("event", "sentence"),
    [
        (
            {"recommendationId": "r" * 41},
            "eventList.0.recommendationId: Value should have at most 40 characters, not 41",
        ),
        ({"properties": "{"}, "eventList.0.properties: must be the text of a JSON object"),
        ({"impression": ["i"] * 26}, "eventList.0.impression: List should have at most 25 items, not 26"),
    ],
)
def test_what_is_wrong_with_an_event_is_said_once(event: dict[str, Any], sentence: str) -> None:
    with pytest.raises(WireError) as refused:
        parse(PutEventsRequest, put_events(an_event(**event)))

    assert str(refused.value) == f"1 validation error detected: {sentence}"


def test_an_event_at_its_limits_is_accepted() -> None:
    event = an_event(
        eventId="e" * 256,
        itemId="i" * 256,
        properties=json.dumps({"a": "x" * 1015}),
        recommendationId="r" * 40,
        impression=["i"] * 25,
        eventValue=None,
        metricAttribution={"eventAttributionSource": "news letter"},
        invented="ignored",
    )

    request = parse(PutEventsRequest, put_events(*[event] * 10, userId=None))

    assert len(request.event_list) == 10
    assert request.user_id is None


@pytest.mark.parametrize(
    ("sent", "expected"),
    [
        (1_553_631_760, "2019-03-26T20:22:40+00:00"),
        (1_553_631_760.123, "2019-03-26T20:22:40.123000+00:00"),
        ("1553631760", "2019-03-26T20:22:40+00:00"),
        ("2019-03-26T20:22:40Z", "2019-03-26T20:22:40+00:00"),
        ("2019-03-26T20:22:40", "2019-03-26T20:22:40+00:00"),
    ],
)
def test_a_time_comes_as_number_or_text(sent: Any, expected: str) -> None:
    request = parse(PutEventsRequest, put_events(an_event(sentAt=sent)))

    assert request.event_list[0].sent_at.isoformat() == expected


@pytest.mark.parametrize(
    "request_",
    [
        {},
        {"campaignArn": ARN, "recommenderArn": ARN},
        {"campaignArn": "nope"},
        {"campaignArn": ARN, "numResults": 501},
        {"campaignArn": ARN, "numResults": 51, "metadataColumns": {"ITEMS": ["A"]}},
        {"campaignArn": ARN, "metadataColumns": {"USERS": ["A"]}},
        {"campaignArn": ARN, "numResults": -1},
        {"campaignArn": ARN, "userId": "u" * 257},
        {"campaignArn": ARN, "context": {"a b": "x"}},
        {"campaignArn": ARN, "context": {f"k{i}": "x" for i in range(151)}},
        {"campaignArn": ARN, "filterValues": {"k": "x" * 1001}},
        {"campaignArn": ARN, "filterValues": {f"k{i}": "x" for i in range(26)}},
        {"campaignArn": ARN, "promotions": [{}, {}]},
        {"campaignArn": ARN, "promotions": [{"percentPromotedItems": 101}]},
    ],
)
def test_the_limits_of_get_recommendations_are_checked(request_: dict[str, Any]) -> None:
    with pytest.raises(WireError):
        parse(GetRecommendationsRequest, orjson.dumps(request_))


def test_get_recommendations_returns_25_items_by_default() -> None:
    assert parse(GetRecommendationsRequest, orjson.dumps({"campaignArn": ARN})).limit == 25
    none = {"recommenderArn": ARN, "numResults": 0}
    assert parse(GetRecommendationsRequest, orjson.dumps(none)).limit == 0


def test_a_ranking_takes_500_items() -> None:
    request = {"campaignArn": ARN, "userId": "u", "inputList": ["i"] * 500}

    assert len(parse(GetPersonalizedRankingRequest, orjson.dumps(request)).input_list) == 500
    with pytest.raises(WireError):
        parse(GetPersonalizedRankingRequest, orjson.dumps(request | {"inputList": ["i"] * 501}))


def test_the_limits_of_put_items_are_checked() -> None:
    arn = "arn:aws:personalize:eu-west-1:1:dataset/shop/ITEMS"
    item = {"itemId": "1", "properties": json.dumps({"a": "x" * 31_000})}

    parse(PutItemsRequest, orjson.dumps({"datasetArn": arn, "items": [item] * 10}))
    for wrong in ([item] * 11, [], [item | {"properties": json.dumps({"a": "x" * 32_000})}]):
        with pytest.raises(WireError):
            parse(PutItemsRequest, orjson.dumps({"datasetArn": arn, "items": wrong}))
