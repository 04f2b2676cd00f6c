"""`POST /v1/events` and the shop backend's paths: what comes in is in the log a moment later, once."""

from __future__ import annotations

import gzip
import json
import uuid
from pathlib import Path
from typing import Any

import httpx
import pytest

from shared.events.topics import INTERACTIONS
from tests.component.tracker.conftest import Tracker
from tests.support.kafka import raw_records, settings_for
from tests.support.processes import Process, process
from tests.support.tenants import SERVICE_KEY
from tests.support.waiting import PATIENCE


def an_event(user: str, **changes: Any) -> dict[str, Any]:
    return {"user_id": user, "event_type": "view", "item_id": "85123A"} | changes


async def test_one_event_an_array_and_lines(tracker: Tracker, worker: Process, user: str) -> None:
    result = tracker.post("/v1/events", an_event(user, event_id=f"{user}-1"))
    several = tracker.post("/v1/events", [an_event(user), an_event(user, id=f"{user}-2")])
    lines = b"\n".join(json.dumps(an_event(user, id=f"{user}-{n}")).encode() for n in (3, 4)) + b"\n\n"
    by_line = tracker.post("/v1/events", lines, content_type="application/x-ndjson; charset=utf-8")

    assert result.json() == {
        "accepted": 1,
        "rejected": 0,
        "results": [{"index": 0, "id": f"{user}-1", "status": "accepted"}],
    }
    made = several.json()["results"][0]["id"]
    stored = await tracker.until_stored(5, user_id=user)
    assert {row["event_id"] for row in stored} == {made, *(f"{user}-{n}" for n in range(1, 5))}
    assert [result.status_code, several.status_code, by_line.status_code] == [200, 200, 200]
    assert stored[0]["item_id"] == "85123A"


async def test_the_same_event_twice_is_stored_once(tracker: Tracker, worker: Process, user: str) -> None:
    event = an_event(user, event_id=f"{user}-e")

    for _ in range(3):
        assert tracker.post("/v1/events", event).status_code == 200
    tracker.post("/v1/events", an_event(user, event_id=f"{user}-last"))

    assert len(await tracker.until_stored(2, user_id=user)) == 2


async def test_calls_of_segment_are_what_their_events_name(
    tracker: Tracker, worker: Process, user: str
) -> None:
    """They were stored as type `track`, without an item."""
    products = [
        {"product_id": "sku-42", "quantity": 2, "price": 12.5},
        {"product_id": "sku-43", "price": "3"},
    ]
    calls = [
        {"type": "track", "event": "Product Added", "properties": {"product_id": "sku-42", "price": 12.5}},
        {"type": "track", "event": "Order Completed", "properties": {"order_id": user, "products": products}},
        {"type": "group", "groupId": "g"},
        {"type": "track", "event": "Product Viewed", "properties": {"name": "no item"}},
    ]
    sent = [call | {"userId": user, "messageId": f"{user}-{n}"} for n, call in enumerate(calls)]

    for _ in range(2):
        answer = tracker.post("/v1/events", sent).json()
        assert (answer["accepted"], answer["rejected"], answer["ignored"]) == (2, 1, 1)
    assert [result["status"] for result in answer["results"]] == ["accepted"] * 2 + ["ignored", "rejected"]
    assert len(answer["results"][1]["ids"]) == 2
    tracker.post("/v1/events", an_event(user, event_id=f"{user}-last"))

    stored = await tracker.until_stored(4, user_id=user)
    assert sorted((row["event_type"], row["item_id"], row["price"]) for row in stored) == [
        ("add_to_cart", "sku-42", 12.5),
        ("purchase", "sku-42", 12.5),
        ("purchase", "sku-43", 3.0),
        ("view", "85123A", None),
    ]


async def test_good_events_are_kept_beside_bad_ones(tracker: Tracker, worker: Process, user: str) -> None:
    body = json.dumps([an_event(user), {"event_type": "view"}, 7, an_event(user, item_id="half \ud800")])

    answer = tracker.post("/v1/events", body.encode(), content_type="application/json")

    assert answer.status_code == 200
    document = answer.json()
    assert (document["accepted"], document["rejected"]) == (1, 3)
    assert [result["status"] for result in document["results"]] == ["accepted", *["rejected"] * 3]
    assert "user_id or session_id" in document["results"][1]["reason"]
    assert len(await tracker.until_stored(1, user_id=user)) == 1


def test_a_request_of_nothing_but_bad_events_is_400_with_every_reason(tracker: Tracker) -> None:
    answer = tracker.post("/v1/events", [{"event_type": "view"}, {}])

    assert answer.status_code == 400
    assert answer.json()["error"] == "InvalidEvents"
    assert len(answer.json()["results"]) == 2


@pytest.mark.parametrize(
    ("body", "status", "error"),
    [
        (b"{", 400, "InvalidJson"),
        (b"", 400, "InvalidJson"),
        (b"[]", 400, "NoEvents"),
        (b"[" * 100_000, 400, "InvalidJson"),
        (json.dumps([an_event("u")] * 2501).encode(), 413, "TooManyEvents"),
        (json.dumps(an_event("u", name="x" * 33_000)).encode(), 413, "TooLarge"),
        (b" " * 513_000, 413, "TooLarge"),
        (gzip.compress(b" " * 513_000, mtime=0), 413, "TooLarge"),
        (gzip.compress(b"[1]", mtime=0)[:-4], 400, "InvalidGzip"),
        (b"\x1f\x8bnot gzip", 400, "InvalidGzip"),
    ],
)
def test_what_can_not_be_taken_is_refused_as_a_whole(
    tracker: Tracker, body: bytes, status: int, error: str
) -> None:
    answer = tracker.post("/v1/events", body, content_type="application/json")

    assert (answer.status_code, answer.json()["error"]) == (status, error)
    assert set(answer.json()) == {"error", "detail"}


async def test_gzip_is_unpacked_whether_or_not_it_is_announced(
    tracker: Tracker, worker: Process, user: str
) -> None:
    packed = gzip.compress(json.dumps([an_event(user)] * 100).encode())

    announced = tracker.post("/v1/events", packed, content_encoding="gzip")
    silent = tracker.post("/v1/events", packed, content_type="application/x-www-form-urlencoded")

    assert (announced.json()["accepted"], silent.json()["accepted"]) == (100, 100)
    assert len(await tracker.until_stored(200, user_id=user, limit=1000)) == 200


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 401),
        ({"x-api-key": "ek_ingest_wrong"}, 401),
        ({"authorization": "Bearer ek_ingest_wrong"}, 401),
    ],
)
def test_callers_without_a_valid_key_are_refused(
    tracker: Tracker, headers: dict[str, str], status: int
) -> None:
    answer = tracker.http.post("/v1/events", json=an_event("u"), headers=headers)

    assert answer.status_code == status
    assert set(answer.json()) == {"error", "detail"}


def test_a_key_does_what_it_is_for(tracker: Tracker) -> None:
    read = {"x-api-key": tracker.tenant.read}
    ingest = {"authorization": f"Bearer {tracker.tenant.ingest}"}

    assert tracker.http.post("/v1/events", json=an_event("u"), headers=read).status_code == 403
    assert tracker.http.get("/v1/stats", headers=ingest).status_code == 403
    assert tracker.http.post("/v1/events", json=an_event("u"), headers=ingest).status_code == 200
    basic = httpx.BasicAuth(tracker.tenant.ingest, "")
    assert tracker.http.post("/v1/events", json=an_event("u"), auth=basic).status_code == 200


async def test_the_tenant_comes_from_the_key_and_from_nothing_else(
    tracker: Tracker, worker: Process, user: str
) -> None:
    tracker.post("/v1/events", an_event(user, tenant=tracker.other.name), x_endcap_tenant=tracker.other.name)
    service = {"x-api-key": SERVICE_KEY, "x-endcap-tenant": tracker.tenant.name}
    tracker.http.post("/v1/events", json=an_event(user), headers=service)

    assert len(await tracker.until_stored(2, user_id=user)) == 2
    theirs = tracker.http.get(
        "/v1/events", params={"user_id": user}, headers={"x-api-key": tracker.other.read}
    )
    assert theirs.json() == {"events": []}


def test_a_browser_may_send_events(tracker: Tracker) -> None:
    preflight = tracker.http.options(
        "/v1/events",
        headers={
            "origin": "https://shop.example",
            "access-control-request-method": "POST",
            "access-control-request-headers": "authorization, content-type, x-retry-count",
        },
    )
    sent = tracker.post("/v1/events", an_event("u"), origin="https://shop.example")

    assert preflight.status_code == 200
    assert preflight.headers["access-control-max-age"] == "86400"
    assert sent.headers["access-control-allow-origin"] == "*"
    assert "access-control-allow-credentials" not in sent.headers


async def test_a_backend_reports_views_carts_and_purchases(
    tracker: Tracker, worker: Process, user: str
) -> None:
    product = {"name": "Hanger", "category": "Decoration", "price": 2.55}
    view = tracker.post(
        "/api/personalize/track/view", {"userId": user, "productId": "85123A", "productData": product}
    )
    cart = tracker.post(
        "/api/personalize/track/cart",
        {"userId": user, "productId": "85123A", "productData": product, "quantity": 6},
    )
    order = {
        "userId": user,
        "orderId": f"o-{user}",
        "items": [
            {"productId": "85123A", "quantity": 6, "price": 2.55},
            {"productId": "85123A", "quantity": 1, "price": 2.55},
        ],
    }
    first, repeated = (tracker.post("/api/personalize/track/purchase", order) for _ in range(2))

    assert [view.status_code, cart.status_code, first.status_code] == [200, 200, 200]
    assert first.json() == repeated.json()
    assert (first.json()["success"], first.json()["accepted"]) == (True, 2)
    stored = await tracker.until_stored(4, user_id=user)
    assert [row["event_type"] for row in stored[:2]] == ["view", "add_to_cart"]
    assert stored[0]["properties"] == {"name": "Hanger", "category": "Decoration"}
    assert sorted((row["event_type"], row["quantity"]) for row in stored[2:]) == [
        ("purchase", 1.0),
        ("purchase", 6.0),
    ]


def test_a_report_that_is_not_valid_is_400_and_says_why(tracker: Tracker) -> None:
    answer = tracker.post("/api/personalize/track/view", {"userId": "u"})

    assert (answer.status_code, answer.json()["error"]) == (400, "InvalidRequest")
    assert "productId" in answer.json()["detail"]


def test_the_log_is_asked_for_a_user_or_a_session(tracker: Tracker) -> None:
    headers = {"x-api-key": tracker.tenant.read}

    assert tracker.http.get("/v1/events", headers=headers).status_code == 400
    both = {"user_id": "a", "session_id": "b"}
    assert tracker.http.get("/v1/events", headers=headers, params=both).status_code == 400
    assert tracker.http.get("/v1/events", headers=headers, params={"user_id": "nobody"}).json() == {
        "events": []
    }


def test_what_is_counted_can_be_seen(tracker: Tracker) -> None:
    tracker.post("/v1/events", an_event("u"))
    tracker.post("/v1/events", {})

    metrics = tracker.http.get("/metrics").text

    assert 'endcap_tracker_events_accepted_total{source="events"}' in metrics
    assert 'endcap_tracker_events_rejected_total{source="events"}' in metrics


def test_keyless_calls_from_this_machine_are_a_setting(tracker: Tracker, tmp_path: Path) -> None:
    keyless = tracker.environment | {"ENDCAP_KEYLESS_LOOPBACK": "1"}
    elsewhere = [
        {"host": "evil.example"},  # DNS rebinding
        {"x-forwarded-for": "10.0.0.1"},
        {"x-real-ip": "10.0.0.1"},
        {"via": "1.1 proxy"},
        {"origin": "https://evil.example"},
        {"sec-fetch-site": "cross-site"},
    ]
    with process("tracker", "serve", keyless, tmp_path) as running, httpx.Client(timeout=PATIENCE) as http:
        url = f"{running.url}/v1/events"
        plain = http.post(url, json=an_event("u"))
        refused = [http.post(url, json=an_event("u"), headers=headers) for headers in elsewhere]

    assert plain.status_code == 200
    assert [answer.status_code for answer in refused] == [401] * len(elsewhere)
    assert "Host header" in refused[0].json()["detail"]


async def test_the_trace_of_a_request_goes_with_its_events(tracker: Tracker, user: str) -> None:
    trace = uuid.uuid4().hex
    tracker.post("/v1/events", an_event(user), traceparent=f"00-{trace}-00f067aa0ba902b7-01")

    settings = settings_for(tracker.environment)
    records = await raw_records(settings, INTERACTIONS.name)

    (headers,) = [dict(record.headers) for record in records if user.encode() in (record.key or b"")]
    assert trace.encode() in headers["traceparent"]
    assert headers["ce_type"] == b"endcap.InteractionRecorded.v1"
    assert headers["ce_tenantid"] == tracker.tenant.name.encode()
