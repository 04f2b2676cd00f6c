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
