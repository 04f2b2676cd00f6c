"""Events of PostHog's clients."""

from __future__ import annotations

import base64
import gzip
import json
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import quote

import pytest

from tests.unit.tracker.clients import KEY, SHOP, Tracker, captured

VISITOR = "01a22ca7-3d89-78b7-8e4e-31f57efe66f4"
EVENT = {
    "uuid": "e1",
    "event": "Product Viewed",
    "properties": {"token": KEY, "distinct_id": "u", "product_id": "i", "$browser": "Firefox"},
}


def kept(tracker: Tracker) -> list[tuple[str, str | None, str | None, str | None]]:
    return [(event.event_type, event.user_id, event.session_id, event.item_id) for event in tracker.events]


async def test_the_python_client(tracker: Tracker) -> None:
    (flags,) = captured("posthog 7", "/flags")
    (batch,) = captured("posthog 7", "/batch")

    flags_answer, answer = await tracker.send(flags), await tracker.send(batch)

    assert (flags_answer.status_code, flags_answer.json()["flags"]) == (200, {})
    assert (answer.status_code, answer.json()["status"], answer.json()["ignored"]) == (200, 1, 3)
    assert kept(tracker) == [
        ("add_to_cart", "u1", None, "i1"),
        ("anonymous thing", None, "5d4dbc64-d7c0-4045-9fe7-63bc88faf5a6", None),
        ("alias", "u1", "a0", None),
    ]
    added = tracker.events[0]
    assert (added.event_id, added.price, added.source) == (
        "c241db5d-500a-4608-b9df-316fcb20cd48",
        9.5,
        "posthog",
    )
    assert added.properties == {"product_id": "i1", "price": 9.5} | {
        "timestamp_adjusted_from": "2026-11-30T13:31:25.393151+00:00"
    }


async def test_the_node_client_packs_its_batches(tracker: Tracker) -> None:
    answers = [await tracker.send(request) for request in captured("posthog-node")]

    assert [answer.status_code for answer in answers] == [200, 200]
    assert kept(tracker) == [("add_to_cart", "u1", None, "i1"), ("alias", "u1", "a0", None)]


@pytest.mark.parametrize("path", ["/e/", "/i/v0/e/", "/capture/", "/batch", "/e"])
async def test_the_browser_client_sends_text_forms_and_gzip(tracker: Tracker, path: str) -> None:
    encoded = base64.b64encode(json.dumps([EVENT]).encode()).decode()
    sent = [
        await tracker.http.post(path, content=body, headers={"origin": SHOP, "content-type": media_type})
        for body, media_type in (
            (json.dumps([EVENT]), "text/plain"),
            (gzip.compress(json.dumps(EVENT).encode()), "text/plain"),
            (f"data={quote(encoded)}", "application/x-www-form-urlencoded"),
            (f"data={quote(json.dumps(EVENT))}", "application/x-www-form-urlencoded"),
        )
    ]

    assert [answer.status_code for answer in sent] == [200] * 4
    assert kept(tracker) == [("view", "u", None, "i")] * 4
    assert tracker.events[0].properties == {"product_id": "i"}


@pytest.mark.parametrize(
    ("changes", "subject"),
    [
        ({"distinct_id": "u"}, ("u", None)),
        ({"distinct_id": VISITOR, "$device_id": VISITOR}, (None, VISITOR)),
        ({"distinct_id": "v", "$is_identified": False}, (None, "v")),
        ({"distinct_id": "u", "$device_id": VISITOR, "$is_identified": True}, ("u", None)),
        ({"distinct_id": VISITOR, "$process_person_profile": False}, (None, VISITOR)),
        ({"distinct_id": "u", "$process_person_profile": False}, ("u", None)),
        ({"distinct_id": 7}, ("7", None)),
    ],
)
async def test_an_id_from_before_the_login_is_a_session(
    tracker: Tracker, changes: dict[str, Any], subject: tuple[str | None, str | None]
) -> None:
    event = {"event": "Product Viewed", "properties": {"product_id": "i", **changes}}

    await tracker.http.post("/e/", json={"api_key": KEY, "batch": [event]})

    assert [(event.user_id, event.session_id) for event in tracker.events] == [subject]


@pytest.mark.parametrize(
    ("event", "properties", "tied"),
    [
        ("$identify", {"distinct_id": "u", "$anon_distinct_id": VISITOR}, ("u", VISITOR)),
        ("$create_alias", {"distinct_id": "u", "alias": VISITOR}, ("u", VISITOR)),
        ("$create_alias", {"distinct_id": VISITOR, "alias": "u"}, ("u", VISITOR)),
        ("$create_alias", {"distinct_id": "u", "alias": "old"}, ("u", "old")),
        ("$merge_dangerously", {"distinct_id": "u", "alias": "old"}, ("u", "old")),
    ],
)
async def test_identities_are_tied(
    tracker: Tracker, event: str, properties: dict[str, Any], tied: tuple[str, str]
) -> None:
    await tracker.http.post("/capture/", json={"api_key": KEY, "event": event, "properties": properties})

    assert [(event.user_id, event.session_id) for event in tracker.events] == [tied]


async def test_times_are_corrected_or_counted_back(tracker: Tracker) -> None:
    now = datetime.now(UTC)
    slow = now - timedelta(days=1)
    events = [EVENT | {"timestamp": (slow - timedelta(minutes=2)).isoformat()}, EVENT | {"offset": 120_000}]
    milliseconds = int(slow.timestamp() * 1000)

    await tracker.http.post(f"/e/?_={milliseconds}", content=json.dumps(events))

    for event in tracker.events:
        assert timedelta(seconds=119) < now - event.occurred_at < timedelta(seconds=121)


async def test_pages_keep_their_address(tracker: Tracker) -> None:
    properties = {"distinct_id": "u", "$current_url": "https://shop.example/", "$ip": "192.0.2.1"}

    await tracker.http.post("/e/", json={"api_key": KEY, "event": "$pageview", "properties": properties})

    (page,) = tracker.events
    assert (page.event_type, page.properties) == ("page", {"url": "https://shop.example/"})


@pytest.mark.parametrize(
    ("path", "content", "status", "code"),
    [
        ("/batch/", json.dumps({"batch": [EVENT | {"properties": {}}]}), 401, "MissingCredentials"),
        (f"/batch/?api_key={KEY}", json.dumps({"batch": {}}), 400, "InvalidRequest"),
        ("/batch/", json.dumps({"api_key": KEY, "batch": [{"distinct_id": "u"}]}), 400, "InvalidEvents"),
        (f"/e/?api_key={KEY}", "data=%%%", 400, "InvalidRequest"),
        (f"/e/?api_key={KEY}", "data=", 400, "InvalidJson"),
        (f"/e/?api_key={KEY}", "7", 400, "InvalidRequest"),
        ("/flags/?v=2", json.dumps({"token": "other"}), 401, "UnknownKey"),
    ],
)
async def test_refusals(tracker: Tracker, path: str, content: str, status: int, code: str) -> None:
    answer = await tracker.http.post(path, content=content)

    assert (answer.status_code, answer.json()["error"]) == (status, code)
    assert tracker.events == []
