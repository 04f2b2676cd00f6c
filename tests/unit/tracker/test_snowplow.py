"""Events of Snowplow's trackers."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from tests.unit.tracker.clients import KEY, Tracker, captured

POST = "/com.snowplowanalytics.snowplow/tp2"
MOBILE = '{"data": [{"schema": "iglu:c/client_session/jsonschema/1-0-2", "data": {"userId": "m"}}]}'


def kept(tracker: Tracker) -> list[tuple[str, str | None, str | None, str | None]]:
    return [(event.event_type, event.user_id, event.session_id, event.item_id) for event in tracker.events]


@pytest.mark.parametrize("path", [POST, "/i"])
async def test_the_python_tracker(tracker: Tracker, path: str) -> None:
    answers = [await tracker.send(request) for request in captured("snowplow-tracker", path)]

    assert {answer.status_code for answer in answers} == {200}
    assert kept(tracker) == [
        ("page", "u1", "d1", None),
        ("add_to_cart", "u1", "d1", "i1"),
        ("add_to_cart", "u1", "d1", "i1"),
    ]
    structured, described = tracker.events[1:]
    assert (structured.value, described.price, described.quantity) == (2, 9.5, 2)
    assert structured.sender_type == "add-to-basket"
    # The tracker writes stm in whole seconds, and dtm in milliseconds.
    assert described.source == "snowplow"


@pytest.mark.parametrize("path", [POST, "/i"])
async def test_the_node_tracker(tracker: Tracker, path: str) -> None:
    answers = [await tracker.send(request) for request in captured("@snowplow/node-tracker", path)]

    assert {answer.status_code for answer in answers} == {200}
    purchases = [event for event in tracker.events if event.event_type == "purchase"]
    assert [(event.item_id, event.order_id, event.quantity) for event in purchases] == [
        ("i1", "o1", 1),
        ("i2", "o1", 2),
    ]
    if path == "/i":
        assert {answer.headers["content-type"] for answer in answers} == {"image/gif"}


async def test_the_items_of_a_transaction_are_purchases(tracker: Tracker) -> None:
    events = [
        {"e": "tr", "aid": KEY, "uid": "u", "tr_id": "o", "tr_tt": "9"},
        {"e": "ti", "uid": "u", "ti_id": "o", "ti_sk": "i", "ti_pr": "4.5", "ti_qu": "2", "ti_cu": "EUR"},
    ]

    answer = await tracker.http.post(POST, json={"data": events})

    assert [result["status"] for result in answer.json()["results"]] == ["ignored", "accepted"]
    (purchase,) = tracker.events
    assert (purchase.event_type, purchase.item_id, purchase.order_id, purchase.price, purchase.quantity) == (
        "purchase",
        "i",
        "o",
        4.5,
        2,
    )


@pytest.mark.parametrize(
    ("ids", "session"),
    [
        ({"duid": "d", "nuid": "n", "sid": "s"}, "d"),
        ({"tnuid": "t", "nuid": "n"}, "t"),
        ({"sid": "s"}, "s"),
        ({"co": MOBILE, "sid": "s"}, "m"),
    ],
)
async def test_the_session(tracker: Tracker, ids: dict[str, str], session: str) -> None:
    await tracker.http.get("/i", params={"e": "pv", "aid": KEY, **ids})

    assert [(event.user_id, event.session_id) for event in tracker.events] == [(None, session)]


async def test_the_time_is_corrected_unless_it_is_true(tracker: Tracker) -> None:
    started = datetime.now(UTC)
    times = {"dtm": "1700000000000", "stm": "1700000010000"}

    await tracker.http.get("/i", params={"e": "pv", "aid": KEY, "uid": "u", **times})
    await tracker.http.get("/i", params={"e": "pv", "aid": KEY, "uid": "u", **times, "ttm": "1650000000000"})

    corrected, true = tracker.events
    assert 9 < (started - corrected.occurred_at).total_seconds() < 11
    assert true.occurred_at.timestamp() == 1_650_000_000


@pytest.mark.parametrize(
    ("event", "status"),
    [
        ({"e": "pp"}, "ignored"),
        ({"e": "ue", "ue_px": "bm8"}, "rejected"),
        ({"e": "ue", "ue_px": "%%"}, "rejected"),
        ({"e": "ue", "ue_pr": "[]"}, "ignored"),
        ({"e": "se"}, "rejected"),
        ({"e": ["pv"]}, "rejected"),
    ],
)
async def test_other_events_have_a_reason(tracker: Tracker, event: dict[str, Any], status: str) -> None:
    page = {"e": "pv", "aid": KEY, "uid": "u"}

    answer = await tracker.http.post(POST, json={"data": [page, {"uid": "u", **event}]})

    result = answer.json()["results"][1]
    assert (result["status"], bool(result["reason"])) == (status, True)


async def test_the_app_id_is_the_key(tracker: Tracker) -> None:
    body = {"data": [{"e": "pv", "uid": "u", "aid": "my-shop"}]}
    refused = await tracker.http.post(POST, json=body)
    by_header = await tracker.http.post(POST, json=body, headers={"x-api-key": KEY})
    nobody = await tracker.http.get("/i", params={"e": "pv", "uid": "u"})

    assert (refused.status_code, by_header.status_code, nobody.status_code) == (401, 200, 401)
