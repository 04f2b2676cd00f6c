"""Outcomes of experiments: counted once, corrected by orders, bounded, and kept after an erasure."""

from __future__ import annotations

import asyncio
import json
from datetime import UTC, datetime, timedelta
from typing import Any

from shared.events import Claim, UserErasureRequested
from shared.events.topics import ERASURE_RECEIPTS, ERASURES, INTERACTIONS
from tests.component.router.experiments import AB, run
from tests.support.kafka import raw_records
from tests.support.waiting import eventually


async def test_outcomes_are_counted_once_per_event_in_any_order(world: Any) -> None:
    async with world.router() as caller:
        await run(caller, world, AB)
        early = world.purchase("u0")
        await asyncio.sleep(0.01)
        await world.expose(*(f"u{n}" for n in range(10)))
        later = [world.purchase(f"u{n}") for n in range(10)]
        stranger = world.purchase("never-exposed")
        async with world.worker():
            # Everything twice, as a replay does it.
            for _ in range(2):
                await world.publish(INTERACTIONS, early, *later, later[0], stranger)

            async def counted() -> Any:
                answer = await caller.get("/v1/experiments/affinity", headers=world.admin)
                result = answer.json()
                events = sum(
                    variant["events"].get("purchase", {}).get("events", 0) for variant in result["variants"]
                )
                return events >= 10 and sum(variant["exposed"] for variant in result["variants"]) == 10

            await eventually(counted)
            await asyncio.sleep(0.5)
            result = (await caller.get("/v1/experiments/affinity", headers=world.admin)).json()

    assert sum(variant["events"]["purchase"]["events"] for variant in result["variants"]) == 10
    assert sum(variant["events"]["purchase"]["units"] for variant in result["variants"]) == 10
    assert sum(variant["events"]["purchase"]["value"] for variant in result["variants"]) == 25
    assert result["mixed_units"] == 0
    assert result["status"] == "running"


async def test_a_claim_that_an_order_corrects_counts_for_the_order_s_user(world: Any) -> None:
    async with world.router() as caller:
        await run(caller, world, AB)
        await world.expose(*(f"u{n}" for n in range(3)))
        stolen, agreed = world.purchase("u0", event_id="line-1", value=900), world.purchase("u2")
        order = world.purchase("u1", event_id="line-1", value=5)
        cheaper = world.purchase("u2", event_id=agreed.event_id, value=3, historical=True)
        corrections = [
            truth.model_copy(update={"replaces": Claim.model_validate(claim, from_attributes=True)})
            for truth, claim in ((order, stolen), (cheaper, agreed))
        ]
        async with world.worker():
            # The order may come first under its own key; everything twice, as a replay does it.
            for _ in range(2):
                await world.publish(INTERACTIONS, stolen, order, agreed, *corrections)

            async def outcomes() -> Any:
                return await world.sql(
                    "SELECT event_id, unit, value FROM router.outcomes ORDER BY value DESC"
                )

            await eventually(
                outcomes,
                enough=lambda rows: (
                    [tuple(row) for row in rows] == [("line-1", "u1", 5.0), (agreed.event_id, "u2", 3.0)]
                ),
            )


async def test_values_stored_without_a_bound_do_not_break_the_results(world: Any) -> None:
    """The sum of two values of 1.7e308 overflowed, and every request for the results failed."""
    async with world.router() as caller:
        await run(caller, world, AB)
        await world.sql(
            "INSERT INTO router.exposed_units (tenant, experiment, version, unit, variant, first_at) "
            "VALUES ($1, 'affinity', 1, 'u', 'control', now() - interval '1 hour')",
            (world.tenant,),
        )
        await world.sql(
            "INSERT INTO router.outcomes (tenant, experiment, version, event_id, unit, event_type, value, "
            "occurred_at) VALUES ($1, 'affinity', 1, $2, 'u', 'purchase', $3, now())",
            *((world.tenant, f"e{n}", value) for n, value in enumerate((1.7e308, 1.7e308, 1e39, 2.5, None))),
            *((world.tenant, f"f{n}", value) for n, value in enumerate((float("nan"), float("inf"), 1e-320))),
        )

        answer = await caller.get("/v1/experiments/affinity", headers=world.admin)

    assert answer.status_code == 200, answer.text
    control = next(variant for variant in answer.json()["variants"] if variant["name"] == "control")
    assert control["events"] == {"purchase": {"events": 8, "units": 1, "value": 2.5, "values_left_out": 5}}


async def test_results_that_take_too_long_are_a_503(world: Any) -> None:
    async with world.router(results_seconds=1e-6) as caller:
        await run(caller, world, AB)
        answer = await caller.get("/v1/experiments/affinity", headers=world.admin)

    assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")


async def test_an_erased_user_still_counts_without_a_name(world: Any) -> None:
    request = UserErasureRequested(
        event_id="e",
        tenant=world.tenant,
        occurred_at=datetime.now(UTC) + timedelta(minutes=1),
        erasure_id=world.tenant,
        user_id="u0",
        session_ids=("s0",),
    )
    async with world.router() as caller:
        await run(caller, world, AB)
        await world.expose(*(f"u{n}" for n in range(4)))
        bought = [world.purchase(f"u{n}") for n in range(4)]
        async with world.worker():
            await world.publish(INTERACTIONS, *bought)

            async def result() -> list[tuple[int, int]]:
                answer = await caller.get("/v1/experiments/affinity", headers=world.admin)
                return [
                    (each["exposed"], each["events"].get("purchase", {}).get("events", 0))
                    for each in answer.json()["variants"]
                ]

            async def counted() -> bool:
                return [sum(column) for column in zip(*await result(), strict=True)] == [4, 4]

            await eventually(counted)
            before = await result()
            # Twice, as a replay brings it, and then what was on its way meanwhile.
            await world.publish(ERASURES, request, request)

            async def receipts() -> list[dict[str, Any]]:
                records = await raw_records(world.kafka, ERASURE_RECEIPTS.name)
                events = [json.loads(record.value) for record in records]
                return [each["rows"] for each in events if each["tenant"] == world.tenant]

            async def confirmed() -> bool:
                return len(await receipts()) == 2

            await eventually(confirmed)
            await world.publish(INTERACTIONS, world.purchase("u0"), world.purchase("u1"))

            async def counted_again() -> bool:
                return sum(events for _, events in await result()) == 5

            await eventually(counted_again)

            after = await result()

    assert await receipts() == [{"exposed_units": 1, "outcomes": 1}] * 2
    assert [exposed for exposed, _ in after] == [exposed for exposed, _ in before]
    names = await world.sql(
        "SELECT tenant, unit FROM router.exposed_units UNION ALL SELECT tenant, unit FROM router.outcomes"
    )
    assert "u0" not in {row["unit"] for row in names if row["tenant"] == world.tenant}
