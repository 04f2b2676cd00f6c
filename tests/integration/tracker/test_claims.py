"""What was claimed of the shop's orders, on a real Postgres: the order wins, and nothing counts twice."""

from __future__ import annotations

import itertools
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import pytest_asyncio

from services.tracker.domain.orders import purchases
from services.tracker.store import InteractionLog
from services.tracker.store.claims import ClaimResult
from shared.events import InteractionRecorded, OrderLine, OrderPlaced
from shared.postgres import Database
from shared.settings import PostgresSettings
from tests.support.stack import Database as OwnDatabase

NOW = datetime(2026, 11, 21, 8, 0, tzinfo=UTC)


@pytest_asyncio.fixture
async def opened(database: OwnDatabase) -> AsyncIterator[Database]:
    opened_database = Database(PostgresSettings(database_url=database.role_url("tracker")), "tracker")
    await opened_database.start()
    yield opened_database
    await opened_database.stop()


@pytest.fixture
def store(opened: Database) -> InteractionLog:
    return InteractionLog(opened)


def an_order(user: str | None = "buyer", **line: Any) -> InteractionRecorded:
    """The purchase of an order with one line."""
    order = OrderPlaced(
        event_id="order",
        tenant="shop",
        occurred_at=NOW,
        order_id="O1",
        user_id=user,
        city="Graz",
        lines=(OrderLine(**{"item_id": "cup", "quantity": 2.0, "price": 5.0, **line}),),
    )
    (purchase,) = purchases(order, NOW)
    return purchase


def a_claim(**changes: Any) -> InteractionRecorded:
    """The same line as a page reports it."""
    fields: dict[str, Any] = {
        "event_id": an_order().event_id,
        "tenant": "shop",
        "occurred_at": NOW + timedelta(minutes=3),
        "received_at": NOW + timedelta(minutes=3),
        "user_id": "buyer",
        "session_id": "s1",
        "event_type": "purchase",
        "item_id": "cup",
        "quantity": 2.0,
        "price": 5.0,
        "order_id": "O1",
        "recommendation_id": "RID-1",
        "source": "backend",
    }
    return InteractionRecorded(**fields | changes)


WRONG = {
    "another user": {"user_id": "thief"},
    "another quantity": {"quantity": 90.0},
    "another price": {"price": 0.01},
    "another item": {"item_id": "vase"},
    "another type": {"event_type": "view", "order_id": None},
    "another time": {"occurred_at": NOW - timedelta(days=300)},
}


async def rows(opened: Database) -> list[dict[str, Any]]:
    records = await opened.fetch(
        "SELECT user_id, session_id, event_type, item_id, quantity, price, city, source, recommendation_id, "
        "occurred_at FROM interactions_v1"
    )
    return [dict(row) for row in records]


def of_order(**changes: Any) -> dict[str, Any]:
    return {
        "user_id": "buyer", "session_id": None, "event_type": "purchase", "item_id": "cup", "quantity": 2.0,
        "price": 5.0, "city": "Graz", "source": "order", "recommendation_id": None, "occurred_at": NOW,
        **changes,
    }  # fmt: skip


async def added(
    store: InteractionLog, events: Sequence[InteractionRecorded], *, together: bool
) -> list[ClaimResult]:
    batches = [events] if together else [[event] for event in events]
    return [(await store.add(batch)).claims for batch in batches]


@pytest.mark.parametrize("polls", ["one poll", "two polls"])
@pytest.mark.parametrize("first", ["claim", "order"])
@pytest.mark.parametrize("wrong", WRONG.values(), ids=WRONG)
async def test_the_order_takes_the_place_of_a_claim_that_contradicts_it(
    store: InteractionLog, opened: Database, wrong: dict[str, Any], first: str, polls: str
) -> None:
    claim, order = a_claim(**wrong), an_order()
    events = [claim, order] if first == "claim" else [order, claim]

    claims = await added(store, events, together=polls == "one poll")

    assert await rows(opened) == [of_order()]
    counts = {name: count for name, count in (await store.counts("shop")).items() if count}
    assert counts == {"purchase": 1}
    (correction,) = claims[-1].corrections
    assert correction.model_dump(exclude={"replaces", "received_at"}) == order.model_dump(
        exclude={"replaces", "received_at"}
    )
    assert correction.replaces is not None
    assert correction.key == claim.key
    assert (correction.replaces.item_id, correction.replaces.event_type, correction.replaces.occurred_at) == (
        claim.item_id, claim.event_type, claim.occurred_at,
    )  # fmt: skip
    assert (claims[-1].replaced, claims[-1].contradicting) == ((1, 0) if first == "claim" else (0, 1))
    (conflict,) = await store.conflicts("shop", 10)
    assert (conflict["kept"], conflict["event"]["user_id"]) == ("order", claim.user_id)


@pytest.mark.parametrize("first", ["claim", "order"])
async def test_what_came_before_comes_again_with_the_same_corrections_and_no_other_effect(
    store: InteractionLog, opened: Database, first: str
) -> None:
    events = [a_claim(user_id="thief"), an_order()]
    events = events if first == "claim" else events[::-1]
    first_added = await store.add(events)
    before = (await rows(opened), await store.counts("shop"))

    added_again = await store.add(events)

    assert (await rows(opened), await store.counts("shop")) == before
    assert added_again.claims.corrections == first_added.claims.corrections != ()
    assert (added_again.stored, added_again.conflicting, added_again.claims.replaced) == (0, 0, 0)
    assert len(await store.conflicts("shop", 10)) == 1


@pytest.mark.parametrize(
    "known",
    [
        {},
        {"price": None, "quantity": None},
        {"occurred_at": NOW - timedelta(hours=20)},
    ],
    ids=["everything", "only the item", "another hour"],
)
async def test_a_page_and_the_shop_that_agree_count_once(
    store: InteractionLog, opened: Database, known: dict[str, Any]
) -> None:
    claim = a_claim(**known)

    claims = await added(store, [claim, an_order(), an_order(), claim], together=False)

    assert [(result.confirmed, result.replaced, result.contradicting) for result in claims] == [
        (0, 0, 0), (1, 0, 0), (0, 0, 0), (0, 0, 0),
    ]  # fmt: skip
    assert [result.corrections for result in claims] == [()] * 4
    assert await rows(opened) == [
        of_order(session_id="s1", source="backend", recommendation_id="RID-1", occurred_at=claim.occurred_at)
    ]
    assert await store.counts("shop") == {"purchase": 1}
    assert await store.conflicts("shop", 10) == []


async def test_a_claim_of_nobody_becomes_the_users_and_leaves_the_session(
    store: InteractionLog, opened: Database
) -> None:
    claims = await added(store, [a_claim(user_id=None), an_order()], together=False)

    assert (claims[1].confirmed, claims[1].corrections) == (1, ())
    (row,) = await rows(opened)
    assert (row["user_id"], row["session_id"], row["city"]) == ("buyer", None, "Graz")


async def test_an_order_of_a_guest_leaves_a_claim_its_user(store: InteractionLog, opened: Database) -> None:
    claims = await added(store, [a_claim(), an_order(user=None)], together=False)

    assert (claims[1].confirmed, claims[1].corrections) == (1, ())
    assert (await rows(opened))[0]["user_id"] == "buyer"


@pytest.mark.parametrize("order", [*itertools.permutations(range(3))])
async def test_every_wrong_claim_is_corrected_in_whatever_order_they_come(
    store: InteractionLog, opened: Database, order: tuple[int, ...]
) -> None:
    events = [a_claim(user_id="thief"), a_claim(user_id="other thief"), an_order()]

    claims = await added(store, [events[place] for place in order], together=False)

    assert await rows(opened) == [of_order()]
    corrected = {
        event.replaces.user_id
        for result in claims
        for event in result.corrections
        if event.replaces is not None
    }
    assert corrected == {"thief", "other thief"}


async def test_a_wrong_claim_beside_one_that_the_order_confirms_is_corrected(
    store: InteractionLog, opened: Database
) -> None:
    claims = await added(store, [a_claim(), a_claim(user_id="thief"), an_order()], together=False)

    assert (claims[-1].confirmed, claims[-1].replaced) == (1, 0)
    assert [event.replaces and event.replaces.user_id for event in claims[-1].corrections] == ["thief"]
    assert [conflict["kept"] for conflict in await store.conflicts("shop", 10)] == ["order"]


async def test_a_claim_behind_a_confirmed_one_is_refused(store: InteractionLog, opened: Database) -> None:
    claims = await added(store, [a_claim(), an_order(), a_claim(user_id="thief")], together=False)

    (correction,) = claims[-1].corrections
    assert correction.replaces is not None
    assert (correction.user_id, correction.replaces.user_id) == ("buyer", "thief")
    assert (await rows(opened))[0]["user_id"] == "buyer"


async def test_two_claims_without_an_order_keep_the_first_and_correct_nobody(
    store: InteractionLog, opened: Database
) -> None:
    claims = await added(store, [a_claim(), a_claim(user_id="thief")], together=False)

    assert [result.corrections for result in claims] == [(), ()]
    assert (await rows(opened))[0]["user_id"] == "buyer"
    (conflict,) = await store.conflicts("shop", 10)
    assert conflict["kept"] == "first"


async def test_orders_of_another_tenant_settle_nothing(store: InteractionLog, opened: Database) -> None:
    claim = a_claim(user_id="thief").model_copy(update={"tenant": "other"})

    claims = await added(store, [claim, an_order()], together=True)

    assert claims[0] == ClaimResult()
    assert len(await rows(opened)) == 2
