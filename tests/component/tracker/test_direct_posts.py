"""A request gets the same answer directly and from the ASGI application, which takes those with a trace."""

from __future__ import annotations

from typing import Any

import pytest

from tests.component.tracker.conftest import Tracker

TRACE = "00-11111111111111111111111111111111-2222222222222222-01"
EVENT = {"event_id": "both", "user_id": "u", "event_type": "view", "item_id": "i"}
CALL = {
    "type": "track",
    "event": "Product Viewed",
    "messageId": "m",
    "userId": "u",
    "properties": {"sku": "i"},
}


@pytest.mark.parametrize(
    ("path", "body", "headers", "status"),
    [
        ("/v1/events", EVENT, {}, 200),
        ("/v1/events", [EVENT, {**EVENT, "event_type": ""}], {}, 200),
        ("/v1/events", {**EVENT, "user_id": []}, {}, 400),
        ("/v1/events", b"{", {}, 400),
        ("/v1/events", b"", {}, 400),
        ("/v1/events", EVENT, {"x_api_key": "nobody's"}, 401),
        ("/v1/batch", {"batch": [CALL]}, {}, 200),
        ("/v1/track?x=%20", CALL, {}, 200),
        ("/events", EVENT, {}, 200),
        ("/events", {**EVENT, "event_type": []}, {}, 400),
        ("/events", {"trackingId": "none"}, {}, 400),
        ("/nowhere", EVENT, {}, 404),
    ],
)
def test_both_ways_give_the_same_answer(
    tracker: Tracker, path: str, body: Any, headers: dict[str, str], status: int
) -> None:
    direct = tracker.post(path, body, **headers)
    other = tracker.post(path, body, traceparent=TRACE, **headers)

    assert (direct.status_code, direct.content) == (other.status_code, other.content)
    assert direct.status_code == status, direct.text
    named = [
        [pair for pair in answer.headers.multi_items() if pair[0] not in {"date", "x-amzn-requestid"}]
        for answer in (direct, other)
    ]
    assert named[0] == named[1]
