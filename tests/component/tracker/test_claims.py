"""A browser that guesses an order's id, and the shop's order: the order wins, and everybody is told."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime
from typing import Any

import pytest

from shared.events import InteractionRecorded, OrderLine, OrderPlaced
from shared.events.topics import INTERACTIONS, ORDERS
from shared.kafka import encoded
from shared.kafka.producer import Producer
from tests.component.tracker.conftest import Tracker
from tests.support.kafka import raw_records, settings_for
from tests.support.processes import Process
from tests.support.waiting import PATIENCE, eventually


async def placed(tracker: Tracker, order_id: str, user: str) -> None:
    """The shop's order on Kafka, as sync publishes it."""
    order = OrderPlaced(
        event_id=str(uuid.uuid4()),
        tenant=tracker.tenant.name,
        occurred_at=datetime.now(UTC),
        order_id=order_id,
        user_id=user,
        lines=(OrderLine(item_id="cup", quantity=2, price=5.0),),
    )
    producer = Producer(settings_for(tracker.environment), "test")
    await producer.deliver(ORDERS.name, [encoded(order, "sync", "")], PATIENCE)
    await producer.stop()


async def corrections(tracker: Tracker, order_id: str) -> list[InteractionRecorded]:
    records = await raw_records(settings_for(tracker.environment), INTERACTIONS.name)
    events = [InteractionRecorded.model_validate_json(record.value) for record in records]
    return [event for event in events if event.order_id == order_id and event.replaces is not None]


def conflicts(tracker: Tracker, order_id: str) -> list[dict[str, Any]]:
    answer = tracker.http.get("/v1/conflicts", headers={"x-api-key": tracker.tenant.read})
    assert answer.status_code == 200, answer.text
    return [result for result in answer.json()["conflicts"] if result["event"].get("order_id") == order_id]


@pytest.mark.parametrize("first", ["claim", "order"])
async def test_a_guessed_order_id_neither_suppresses_the_order_nor_gives_it_to_another_user(
    tracker: Tracker, worker: Process, first: str
) -> None:
    order_id, thief, buyer = (f"{name}-{uuid.uuid4()}" for name in ("order", "thief", "buyer"))
    purchase = {"userId": thief, "orderId": order_id, "items": [{"productId": "cup", "quantity": 1}]}

    async def claimed() -> None:
        assert tracker.post("/api/personalize/track/purchase", purchase).status_code == 200

    async def ordered() -> None:
        await placed(tracker, order_id, buyer)
        await eventually(lambda: tracker.stored(user_id=buyer))

    if first == "claim":
        await claimed()
        await eventually(lambda: tracker.stored(user_id=thief))
        await ordered()
    else:
        await ordered()
        await claimed()
    result = await eventually(lambda: corrections(tracker, order_id), every=0.2)

    assert tracker.stored(user_id=thief) == []
    (row,) = tracker.stored(user_id=buyer)
    assert (row["quantity"], row["price"], row["source"]) == (2.0, 5.0, "order")
    assert {
        (event.user_id, event.replaces.user_id, event.quantity) for event in result if event.replaces
    } == {(buyer, thief, 2.0)}
    (conflict,) = conflicts(tracker, order_id)
    assert (conflict["kept"], conflict["event"]["user_id"], conflict["event_id"]) == (
        "order", thief, row["event_id"],
    )  # fmt: skip


async def test_a_page_that_agrees_with_the_shop_counts_once_and_is_no_conflict(
    tracker: Tracker, worker: Process
) -> None:
    order_id, buyer = (f"{name}-{uuid.uuid4()}" for name in ("order", "buyer"))
    items = [{"productId": "cup", "quantity": 2, "price": 5.0}]
    payload = {"userId": buyer, "orderId": order_id, "items": items}

    tracker.post("/api/personalize/track/purchase", payload)
    await eventually(lambda: tracker.stored(user_id=buyer))
    await placed(tracker, order_id, buyer)
    # What comes behind the order is stored behind it.
    await placed(tracker, f"{order_id}-2", buyer)
    await eventually(lambda: len(tracker.stored(user_id=buyer)) == 2)

    assert [row["order_id"] for row in tracker.stored(user_id=buyer)] == [order_id, f"{order_id}-2"]
    assert conflicts(tracker, order_id) == []
    assert await corrections(tracker, order_id) == []
