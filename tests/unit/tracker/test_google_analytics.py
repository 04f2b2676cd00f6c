"""The measurement protocol of Google Analytics 4."""

from __future__ import annotations

from typing import Any

import pytest

from tests.unit.tracker.clients import ADMIN_KEY, KEY, Tracker

# The example of Google's reference for the event `purchase`, shortened.
PURCHASE = {
    "client_id": "1032.77",
    "user_id": "u",
    "timestamp_micros": 1_790_000_000_000_000,
    "events": [
        {
            "name": "purchase",
            "params": {
                "currency": "USD",
                "transaction_id": "T_12345",
                "value": 12.21,
                "items": [
                    {
                        "item_id": "SKU_12345",
                        "item_name": "Stan and Friends Tee",
                        "price": 9.99,
                        "quantity": 1,
                    },
                    {"item_id": "SKU_12346", "price": 2.22},
                ],
            },
        }
    ],
}


async def collect(tracker: Tracker, body: Any, path: str = "/mp/collect", key: str = KEY) -> Any:
    return await tracker.http.post(path, params={"measurement_id": "G-1", "api_secret": key}, json=body)


async def test_a_purchase_has_an_event_for_each_item(tracker: Tracker) -> None:
    answers = [await collect(tracker, PURCHASE), await collect(tracker, PURCHASE)]

    assert [(answer.status_code, answer.content) for answer in answers] == [(204, b"")] * 2
    first, second, *repeated = tracker.events
    assert [(event.item_id, event.price, event.quantity, event.order_id) for event in (first, second)] == [
        ("SKU_12345", 9.99, 1, "T_12345"),
        ("SKU_12346", 2.22, None, "T_12345"),
    ]
    assert (first.user_id, first.session_id, first.source) == ("u", "1032.77", "google_analytics")
    assert first.occurred_at.timestamp() == 1_790_000_000
    assert [event.event_id for event in repeated] == [first.event_id, second.event_id]


@pytest.mark.parametrize(
    ("name", "params", "event_type", "item"),
    [
        ("view_item", {"items": [{"item_id": "i"}]}, "view", "i"),
        ("select_item", {"items": [{"item_id": "i"}], "item_list_id": "l"}, "click", "i"),
        ("add_to_cart", {"items": [{"item_id": "i"}]}, "add_to_cart", "i"),
        ("search", {"search_term": "tea"}, "search", None),
        ("page_view", {"page_location": "https://shop.example/"}, "page", None),
        ("generate_lead", None, "generate_lead", None),
    ],
)
async def test_events_of_shops(
    tracker: Tracker, name: str, params: Any, event_type: str, item: str | None
) -> None:
    body = {"client_id": "c", "events": [{"name": name, "params": params}]}
    answer = await collect(tracker, body)

    assert answer.status_code == 204, answer.text
    assert [(event.event_type, event.item_id, event.session_id) for event in tracker.events] == [
        (event_type, item, "c")
    ]


async def test_automatic_events_are_ignored(tracker: Tracker) -> None:
    answer = await collect(tracker, {"client_id": "c", "events": [{"name": "session_start"}]})

    assert (answer.status_code, tracker.events) == (204, [])


async def test_the_validation_records_nothing(tracker: Tracker) -> None:
    valid = await collect(tracker, PURCHASE, "/debug/mp/collect")
    wrong = await collect(tracker, {"client_id": "c", "events": [{"params": {}}]}, "/debug/mp/collect")

    assert valid.json() == {"validationMessages": []}
    (message,) = wrong.json()["validationMessages"]
    assert message["description"] == "name: Field required"
    assert tracker.events == []


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        ({"client_id": "c", "events": []}, 400, "NoEvents"),
        ({"client_id": "c", "events": [{"name": "search"}] * 26}, 400, "InvalidRequest"),
        ({"events": [{"name": "search"}]}, 400, "InvalidEvents"),
        ({"client_id": "c", "events": ["search"]}, 400, "InvalidEvents"),
        ([], 400, "InvalidRequest"),
    ],
)
async def test_refusals(tracker: Tracker, body: Any, status: int, code: str) -> None:
    answer = await collect(tracker, body)

    assert (answer.status_code, answer.json()["error"]) == (status, code)


async def test_the_secret_is_a_key_that_may_be_in_an_address(tracker: Tracker) -> None:
    answers = [await collect(tracker, PURCHASE, key=key) for key in ("", "other", ADMIN_KEY)]

    assert [(answer.status_code, answer.json()["error"]) for answer in answers] == [
        (401, "MissingCredentials"),
        (401, "UnknownKey"),
        (403, "KeyInAddress"),
    ]
