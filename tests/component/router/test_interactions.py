"""Experiments at the same time: people in both, by the variants of both."""

from __future__ import annotations

from typing import Any

from tests.component.router.counting import counting
from tests.component.router.experiments import AB, run


async def test_people_of_two_experiments_are_counted_by_both_variants(world: Any) -> None:
    async with counting(world) as shop, world.router() as caller:
        await run(caller, world, AB | {"surface": "item-affinity"})
        await run(caller, world, AB | {"name": "paused", "surface": "similar-items"})
        await caller.post("/v1/experiments/paused/pause", headers=world.admin)
        await run(caller, world, AB | {"name": "ended", "surface": "campaign/ended"})
        await caller.post("/v1/experiments/ended/stop", headers=world.admin)
        for unit, variant, other in (
            ("u0", "a", "control"),
            ("u1", "a", "treatment"),
            ("u2", "b", "control"),
            ("web", "b", "control"),
            ("u3", "b", "treatment"),
        ):
            await shop.expose(unit, 10, variant)
            await shop.expose(unit, 40, other, experiment="affinity")
        await shop.expose("u3", 50, "control", experiment="affinity")  # in two variants
        await shop.expose("u4", 50, "a")  # in one experiment
        await shop.did(
            shop.event("view", 15, "u5", "web"),
            shop.event("purchase", 60, "u5", "phone"),
            shop.event("purchase", 20, "u0"),  # before the second exposure
            shop.event("purchase", 60, "u1"),
            shop.event("purchase", 70, "u1"),
        )
        answer = await caller.get("/v1/experiments/same/interactions", headers=world.admin)

    body = answer.json()
    assert body["event"] == "purchase"
    first, paused = body["interactions"]
    assert (first["experiment"], paused["experiment"]) == ("affinity", "paused")
    assert first["people"] == {
        "a": {"control": 1, "treatment": 1},
        "b": {"control": 2, "treatment": 0},
    }
    assert first["effects_p"] is first["problem"] is None
    assert paused["people"]["a"] == {"control": 0, "treatment": 0}
