"""Beacons of pages: text without headers."""

from __future__ import annotations

import json

import httpx

from tests.component.tracker.conftest import Tracker
from tests.support.processes import Process
from tests.support.waiting import PATIENCE


async def test_a_beacon_has_its_ingest_key_in_the_address(
    tracker: Tracker, worker: Process, user: str
) -> None:
    """`navigator.sendBeacon` sends text and no headers."""

    def beacon(key: str) -> httpx.Response:
        body = json.dumps(
            [{"event_id": f"{user}-1", "user_id": user, "event_type": "view", "item_id": "85123A"}]
        )
        headers = {"content-type": "text/plain;charset=UTF-8", "origin": "https://shop.example"}
        return httpx.post(
            f"{tracker.serve.url}/v1/events?key={key}", content=body, headers=headers, timeout=PATIENCE
        )

    assert beacon(tracker.tenant.ingest).status_code == 200
    refused = beacon(tracker.tenant.admin)
    unknown = beacon("unknown")

    assert (await tracker.until_stored(1, user_id=user))[0]["event_id"] == f"{user}-1"
    assert (refused.status_code, refused.json()["error"]) == (403, "KeyInAddress")
    assert (unknown.status_code, unknown.json()["error"]) == (401, "UnknownKey")


async def test_a_front_end_sends_one_flat_event(tracker: Tracker, worker: Process, user: str) -> None:
    """At the path of PutEvents, whose body names an event tracker instead."""
    event = {"user_id": user, "event_type": "view", "item_id": "85123A"}
    answer = tracker.post("/events", event | {"event_type": "AddToCart"})
    page = tracker.post("/events", event, origin="http://shop.test")
    refused = [tracker.post("/events", body) for body in (event | {"user_id": None}, {"user_id": user})]
    amazon = tracker.post("/events", {"trackingId": "none", "sessionId": user, "eventList": []})

    stored = await tracker.until_stored(2, user_id=user)
    assert answer.json()["message"] == "The event is recorded."
    assert (answer.json()["analytics_stored"], answer.json()["personalize_sent"]) == (True, True)
    assert {row["event_id"] for row in stored} == {answer.json()["event_id"], page.json()["event_id"]}
    assert {row["event_type"] for row in stored} == {"add_to_cart", "view"}
    assert [each.status_code for each in refused] == [400, 400]
    assert all(each.json()["error"] for each in refused)
    assert "__type" in amazon.json()
