"""Returned order lines on a real Postgres: no purchase for those who read the log, whatever comes first."""

from __future__ import annotations

import itertools
from datetime import UTC, datetime, timedelta

import pytest

from services.tracker.domain.orders import LineState, purchases
from services.tracker.store import InteractionLog
from shared.events import OrderLine, OrderPlaced
from shared.postgres import Database
from shared.settings import PostgresSettings
from tests.support.kafka import running
from tests.support.stack import Database as OwnDatabase

NOW = datetime(2026, 11, 21, 8, 0, tzinfo=UTC)
LINES = (OrderLine(item_id="cup", quantity=2), OrderLine(item_id="pot", quantity=1))


async def test_a_returned_line_is_no_purchase_in_any_order_of_arrival(database: OwnDatabase) -> None:
    pool = Database(PostgresSettings(database_url=database.role_url("tracker")), "tracker")
    async with running(pool):
        log = InteractionLog(pool)
        for number, order in enumerate(itertools.permutations(["bought", "returned", "again"])):
            tenant = f"shop-{number}"
            event = OrderPlaced(
                event_id="e", tenant=tenant, occurred_at=NOW, order_id="o1", user_id="u", lines=LINES
            )
            cup, pot = purchases(event, NOW)
            for step in order:
                match step:
                    case "bought":
                        await log.add([cup, pot])
                    case "returned":
                        await log.save_line_states(
                            [LineState(tenant, line.event_id, 1, returned=True) for line in (cup, pot)]
                        )
                    case _:
                        await log.save_line_states([LineState(tenant, pot.event_id, 2, returned=False)])

            rows = await pool.pool.fetch("SELECT item_id FROM interactions_v1 WHERE tenant = $1", tenant)
            assert [row["item_id"] for row in rows] == ["pot"], order
            assert await log.counts(tenant) == {"purchase": 2}


@pytest.mark.parametrize("first", [1, 2])
async def test_the_highest_revision_holds_in_one_batch_and_in_two(database: OwnDatabase, first: int) -> None:
    pool = Database(PostgresSettings(database_url=database.role_url("tracker")), "tracker")
    states = [LineState("shop", "e", 1, returned=True), LineState("shop", "e", 2, returned=False)]
    async with running(pool):
        log = InteractionLog(pool)
        assert await log.save_line_states(states) == {("shop", "e"): False}
        for state in states if first == 1 else states[::-1]:
            assert await log.save_line_states([state]) == {("shop", "e"): False}


async def test_attributions_count_a_returned_purchase_again(database: OwnDatabase) -> None:
    pool = Database(PostgresSettings(database_url=database.role_url("tracker")), "tracker")
    event = OrderPlaced(
        event_id="e",
        tenant="shop",
        occurred_at=NOW - timedelta(days=1),
        order_id="o",
        user_id="u",
        lines=LINES,
    )
    async with running(pool):
        log = InteractionLog(pool)
        cup, pot = purchases(event, NOW)
        await log.add([cup, pot])
        await log.save_line_states([LineState("shop", cup.event_id, 1, returned=True)])

        rows = await pool.pool.fetch("SELECT event_id, event_type FROM replaced_claims_v1")

    assert [(row["event_id"], row["event_type"]) for row in rows] == [(cup.event_id, "purchase")]
