"""Routes that the clients of Segment and RudderStack call by themselves."""

from __future__ import annotations

import base64
import gzip
import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.unit.tracker.clients import ADMIN_KEY, KEY, SHOP, Tracker, captured

BASIC = {"authorization": "Basic " + base64.b64encode(f"{KEY}:".encode()).decode()}
EVIL = {"origin": "https://evil.example"}
CALL = {"userId": "u", "messageId": "m", "event": "Product Viewed", "properties": {"product_id": "i"}}


async def test_the_python_client_of_segment(tracker: Tracker) -> None:
    (request,) = captured("segment-analytics-python")

    answer = await tracker.send(request)

    assert answer.status_code == 200
    document = answer.json()
    assert (document["success"], document["accepted"], document["rejected"], document["ignored"]) == (
        True,
        6,
        0,
        1,
    )
    assert [
        (event.event_type, event.user_id, event.session_id, event.item_id) for event in tracker.events
    ] == [
        ("add_to_cart", "u1", None, "i1"),
        ("identify", "u1", "a1", None),
        ("page", "u1", None, None),
        ("screen", "u1", None, None),
        ("alias", "u1", "a0", None),
        ("purchase", None, "a1", "i1"),
        ("purchase", None, "a1", "i2"),
    ]
    added = tracker.events[0]
    assert (added.event_id, added.price, added.quantity, added.tenant) == (
        "6a1d346a-382d-4cac-b808-dde2bfafc375",
        9.5,
        2,
        "shop",
    )


@pytest.mark.parametrize(
    ("client", "tied"),
    [
        ("@segment/analytics-node", [("identify", "u1", "a1"), ("alias", "u1", "a0")]),
        ("@rudderstack/rudder-sdk-node", [("identify", "u1", "a1"), ("alias", "u1", "a0")]),
        ("rudder-sdk-python", [("identify", "u1", "a1"), ("alias", "u1", "a0")]),
    ],
)
async def test_other_clients_of_segment_and_rudderstack(
    tracker: Tracker, client: str, tied: list[tuple[str, str, str]]
) -> None:
    answers = [await tracker.send(request) for request in captured(client)]

    assert [answer.status_code for answer in answers] == [200] * len(answers)
    assert sum(answer.json()["accepted"] for answer in answers) == 5
    assert (tracker.events[0].event_type, tracker.events[0].item_id) == ("add_to_cart", "i1")
    assert [
        (event.event_type, event.user_id, event.session_id)
        for event in tracker.events
        if event.event_type in {"identify", "alias"}
    ] == tied


@pytest.mark.parametrize("path", ["/v1/track", "/v1/t"])
async def test_the_path_names_the_kind_of_call(tracker: Tracker, path: str) -> None:
    """As analytics.js sends it: text, with the key in the body; a page of the shop may read the answer."""
    body = json.dumps({**CALL, "type": "page", "writeKey": KEY})

    answer = await tracker.http.post(
        path, content=body, headers={"content-type": "text/plain", "origin": SHOP}
    )

    assert (answer.status_code, answer.headers["access-control-allow-origin"]) == (200, "*")
    assert [(event.event_type, event.item_id) for event in tracker.events] == [("view", "i")]


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("/v1/identify", "identify"),
        ("/v1/i", "identify"),
        ("/v1/page", "page"),
        ("/v1/p", "page"),
        ("/v1/screen", "screen"),
        ("/v1/s", "screen"),
        ("/v1/alias", "alias"),
        ("/v1/a", "alias"),
    ],
)
async def test_calls_without_type(tracker: Tracker, path: str, kind: str) -> None:
    answer = await tracker.http.post(path, json={"userId": "u", "anonymousId": "a"}, headers=BASIC)

    assert answer.status_code == 200, answer.text
    assert [(event.event_type, event.user_id, event.session_id) for event in tracker.events] == [
        (kind, "u", "a")
    ]


@pytest.mark.parametrize("path", ["/v1/group", "/v1/g"])
async def test_a_group_call_is_accepted_and_not_kept(tracker: Tracker, path: str) -> None:
    answer = await tracker.http.post(path, json={"userId": "u", "groupId": "g"}, headers=BASIC)

    assert (answer.status_code, answer.json()["ignored"], tracker.events) == (200, 1, [])


async def test_the_time_is_corrected_by_the_clock_of_the_sender(tracker: Tracker) -> None:
    """A clock that is three hours slow: the event happened ten seconds before it was sent."""
    now = datetime.now(UTC)
    slow = now - timedelta(hours=3)
    happened = (slow - timedelta(seconds=10)).isoformat()
    batch = {"batch": [{**CALL, "type": "track", "timestamp": happened}], "sentAt": slow.isoformat()}

    await tracker.http.post("/v1/batch", json=batch, headers=BASIC)
    corrected_by_a_server = {**CALL, "timestamp": happened, "originalTimestamp": now.isoformat()}
    await tracker.http.post(
        "/v1/track", json=corrected_by_a_server | {"sentAt": slow.isoformat()}, headers=BASIC
    )

    first, second = tracker.events
    assert timedelta(seconds=9) < now - first.occurred_at < timedelta(seconds=11)
    assert (first.properties or {})["timestamp_adjusted_from"] == happened
    assert second.occurred_at.isoformat() == happened


async def test_a_batch_lends_its_context_and_keeps_its_valid_calls(tracker: Tracker) -> None:
    batch = {
        "batch": [CALL | {"type": "track"}, {"type": "track", "userId": "u"}, "no call"],
        "writeKey": KEY,
    }

    answer = await tracker.http.post("/v1/b", content=gzip.compress(json.dumps(batch).encode()))

    assert [result["status"] for result in answer.json()["results"]] == ["accepted", "rejected", "rejected"]
    assert answer.status_code == 200
    assert len(tracker.events) == 1


async def test_imported_calls_are_history(tracker: Tracker) -> None:
    call = CALL | {"type": "track", "timestamp": "2020-02-29T12:00:00Z"}

    await tracker.http.post("/v1/import", json={"batch": [call]}, headers=BASIC)

    assert [(event.historical, event.occurred_at.year) for event in tracker.events] == [(True, 2020)]


async def test_a_beacon_and_a_pixel_have_their_key_in_the_address(tracker: Tracker) -> None:
    batch = json.dumps({"batch": [CALL | {"type": "track"}]})
    beacon = await tracker.http.post(f"/beacon/v1/batch?writeKey={KEY}", content=batch)
    parameters = {"writeKey": KEY, "anonymousId": "a", "event": "Email Opened", "properties.campaign.id": "c"}
    pixel = await tracker.http.get("/pixel/v1/track", params=parameters)
    page = await tracker.http.get(
        "/pixel/v1/page", params={"writeKey": KEY, "anonymousId": "a", "name": "Home"}
    )

    assert beacon.status_code == 200
    assert (pixel.status_code, pixel.headers["content-type"], pixel.content[:3]) == (200, "image/gif", b"GIF")
    assert page.status_code == 200
    assert [event.event_type for event in tracker.events] == ["view", "email_opened", "page"]
    assert tracker.events[1].properties == {"campaign": {"id": "c"}}


@pytest.mark.parametrize(
    ("path", "body", "headers", "status", "code"),
    [
        ("/v1/batch", {"batch": [CALL]}, {}, 401, "MissingCredentials"),
        ("/v1/batch", {"batch": [CALL], "writeKey": "other"}, {}, 401, "UnknownKey"),
        (
            "/v1/batch",
            {"batch": [CALL], "writeKey": KEY},
            {"origin": "https://evil.example"},
            403,
            "OriginNotAllowed",
        ),
        (f"/beacon/v1/batch?writeKey={ADMIN_KEY}", {"batch": [CALL]}, {}, 403, "KeyInAddress"),
        ("/v1/batch", {"batch": []}, BASIC, 400, "NoEvents"),
        ("/v1/batch", [CALL], BASIC, 400, "InvalidRequest"),
        ("/v1/batch", {"batch": [CALL] * 2_501}, BASIC, 413, "TooManyEvents"),
        (
            "/v1/track",
            CALL | {"properties": {"text": "x" * 33_000}},
            BASIC,
            413,
            "TooLarge",
        ),
        ("/v1/track", {"userId": "u"}, BASIC, 400, "InvalidEvents"),
        (
            "/v1/track",
            CALL | {"properties": {"sku": "i", "price": 1e13}},
            BASIC,
            400,
            "InvalidEvents",
        ),
    ],
)
async def test_refusals_say_why(
    tracker: Tracker, path: str, body: Any, headers: dict[str, str], status: int, code: str
) -> None:
    answer = await tracker.http.post(path, json=body, headers=headers)

    assert (answer.status_code, answer.json()["error"]) == (status, code)
    assert answer.json()["detail"].endswith((".", "track, page", '"track", …}]}')), answer.json()["detail"]
    assert tracker.events == []


async def test_a_large_body_without_a_key_in_the_headers_is_read(tracker: Tracker) -> None:
    call = {**CALL, "type": "track", "properties": {"product_id": "i", "text": "x" * 900}}
    batch = {"batch": [call | {"messageId": str(number)} for number in range(200)]}

    answer = await tracker.http.post("/v1/batch", json=batch | {"writeKey": KEY})
    unknown = await tracker.http.post("/v1/batch", json=batch | {"writeKey": "other"})

    assert (answer.status_code, unknown.status_code) == (200, 401)
    assert len(tracker.events) == 200


async def test_browser_clients_load_their_settings(tracker: Tracker) -> None:
    segment = await tracker.http.get(f"/v1/projects/{KEY}/settings")
    rudderstack = await tracker.http.get("/sourceConfig/", params={"writeKey": KEY})
    refused = [
        await tracker.http.get(f"/v1/projects/{ADMIN_KEY}/settings"),
        await tracker.http.get("/sourceConfig", params={"writeKey": "other"}),
    ]

    assert segment.json()["integrations"]["Segment.io"] == {
        "apiKey": KEY,
        "apiHost": "tracker.test/v1",
        "protocol": "http",
    }
    assert rudderstack.json()["source"]["dataplaneUrl"] == "http://tracker.test"
    assert [answer.status_code for answer in refused] == [403, 401]
