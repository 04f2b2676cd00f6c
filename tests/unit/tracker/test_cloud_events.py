"""CloudEvents in the three modes of HTTP."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest

from tests.unit.tracker.clients import KEY, Tracker, captured

HEADERS = {"x-api-key": KEY}
ID = "62fce24f-5d58-41c0-97db-08f67b1d2403"
EVENT = {
    "specversion": "1.0",
    "id": ID,
    "source": "/shop",
    "type": "com.shop.product.viewed.v1",
    "time": "2026-11-20T08:00:00Z",
    "data": {"user_id": "u", "item_id": "i"},
}
CALL = {"type": "track", "event": "Product Added", "properties": {"sku": "i"}}


async def structured(tracker: Tracker, **changes: Any) -> Any:
    headers = HEADERS | {"content-type": "application/cloudevents+json; charset=utf-8"}
    return await tracker.http.post("/v1/events", content=json.dumps(EVENT | changes), headers=headers)


async def test_the_javascript_sdk_in_both_modes(tracker: Tracker) -> None:
    for request in captured("cloudevents"):
        answer = await tracker.http.post(
            request.path, content=request.body, headers=HEADERS | dict(request.headers)
        )
        assert answer.status_code == 200, answer.text

    assert [(event.event_type, event.user_id, event.item_id) for event in tracker.events] == [
        ("view", "u1", "i1")
    ] * 2
    assert [event.event_id for event in tracker.events] == ["3005f1ee-952e-4a1c-a8fb-0473889d2905", ID]


async def test_a_batch(tracker: Tracker) -> None:
    batch = [EVENT, EVENT | {"id": "2", "data": None}, EVENT | {"id": "3", "specversion": "0.3"}]
    headers = HEADERS | {"content-type": "application/cloudevents-batch+json"}

    answer = await tracker.http.post("/v1/events", content=json.dumps(batch), headers=headers)

    results = answer.json()["results"]
    assert [result["status"] for result in results] == ["accepted", "rejected", "rejected"]
    assert results[1]["reason"] == "The data of a CloudEvent must be a JSON object."
    assert tracker.events[0].occurred_at.isoformat() == "2026-11-20T08:00:00+00:00"


@pytest.mark.parametrize(
    ("cloud_event_type", "data", "event_type"),
    [
        ("com.shop.add_to_cart.v2", {}, "add_to_cart"),
        ("com.shop.order.completed", {}, "purchase"),
        ("product_viewed", {}, "view"),
        ("com.shop.rated", {}, "rated"),
        ("com.shop.anything", {"event_type": "view"}, "view"),
        (
            "com.shop.tracked",
            {"type": "track", "event": "Product Added", "properties": {"sku": "i"}},
            "add_to_cart",
        ),
    ],
)
async def test_the_type_of_the_data_comes_before_that_of_the_event(
    tracker: Tracker, cloud_event_type: str, data: dict[str, Any], event_type: str
) -> None:
    answer = await structured(
        tracker, type=cloud_event_type, data={"userId": "u", "item_id": "i", "id": "x", **data}
    )

    assert answer.status_code == 200, answer.text
    assert [(event.event_type, event.event_id) for event in tracker.events] == [(event_type, ID)]


async def test_an_id_is_unique_within_its_source(tracker: Tracker) -> None:
    for source in ("/shop", "/till", "/shop"):
        await structured(tracker, id="1", source=source)

    shop, till, again = [event.event_id for event in tracker.events]
    assert shop == again != till


async def test_data_in_base64(tracker: Tracker) -> None:
    data = base64.b64encode(b'{"user_id": "u", "item_id": "i"}').decode()
    accepted = await structured(tracker, data=None, data_base64=data)
    refused = await structured(tracker, data=None, data_base64="%%")

    assert (accepted.status_code, refused.status_code) == (200, 400)
    assert [event.item_id for event in tracker.events] == ["i"]


async def test_binary_attributes_are_percent_encoded(tracker: Tracker) -> None:
    headers = {"ce-specversion": "1.0", "ce-id": "%C3%A4", "ce-source": "/shop", "ce-type": "view"}

    answer = await tracker.http.post(
        "/v1/events", content=b'{"user_id": "u", "item_id": "i"}', headers=HEADERS | headers
    )
    no_json = await tracker.http.post("/v1/events", content=b"<xml/>", headers=HEADERS | headers)
    no_id = await tracker.http.post("/v1/events", content=b"{}", headers=HEADERS | {"ce-specversion": "1.0"})

    assert (answer.status_code, no_json.status_code, no_id.status_code) == (200, 400, 400)
    assert no_json.json()["error"] == "InvalidJson"
