"""Rules that count, over HTTP and with two replicas: the quota of an item, and fatigue."""

from __future__ import annotations

from contextlib import AsyncExitStack
from datetime import UTC, datetime
from typing import Any

import pytest

from services.recommender.store.keys import quota_key
from shared.events import PlacementChanged
from shared.events.placements import Placement
from shared.events.topics import CACHES, INTERACTIONS, ITEMS, PLACEMENTS
from tests.support.waiting import eventually

QUOTA = 5
FIXED = {"strategy": "fixed", "item_ids": ["i0", "i1", "i2"]}


@pytest.fixture
async def shop(world: Any) -> Any:
    """A tenant with three items, and placements with a quota and with fatigue."""
    await world.activate(7, 1, ["popularity"])
    await world.lists(7, "popularity", {"all": [("i2", 0.5)]})
    await world.publish(ITEMS, *(world.item(f"i{n}", name=f"Item {n}", price=1) for n in range(3)))
    await world.publish(CACHES, world.pointer(1, popularity=7))
    rules: dict[str, dict[str, Any]] = {
        "limited": {"quotas": [{"per_day": QUOTA, "item_ids": ["i0"]}]},
        "tiring": {"fatigue": {"impressions": 2}},
    }
    await world.publish(
        PLACEMENTS,
        *(
            PlacementChanged(
                event_id=name,
                tenant=world.tenant,
                occurred_at=datetime.now(UTC),
                name=name,
                revision=1,
                placement=Placement.model_validate({"strategies": [FIXED], "limit": 1, "rules": each}),
            )
            for name, each in rules.items()
        ),
    )
    return world


async def replicas(shop: Any, stack: AsyncExitStack) -> list[Any]:
    """Return clients of two serving processes that know the items and placements."""
    callers = [await stack.enter_async_context(shop.recommender()) for _ in range(2)]
    for caller in callers:

        async def ready(caller: Any = caller) -> bool:
            status = (await caller.get("/api/v1/personalize/status")).json()
            known = await caller.get("/api/v1/placements/tiring?explain=1")
            return bool(status["items"] >= 3 and known.status_code == 200)

        await eventually(ready)
    return callers


async def shown(caller: Any, placement: str, **parameters: str) -> str:
    """Return the item of an answer."""
    answer = await caller.get(f"/api/v1/placements/{placement}", params=parameters)
    assert answer.status_code == 200, answer.text
    return str(answer.json()["recommendations"][0]["product_id"])


async def test_a_replica_leaves_out_an_item_that_another_has_shown_up_to_its_quota(shop: Any) -> None:
    async with AsyncExitStack() as stack, shop.redis as redis:
        first, second = await replicas(shop, stack)
        answers = [await shown(first, "limited") for _ in range(QUOTA + 2)]
        assert answers == ["i0"] * QUOTA + ["i1"] * 2

        async def counted() -> bool:
            key = quota_key(shop.tenant, "limited", datetime.now(UTC).date().isoformat())
            return int(await redis.hget(key, "i0") or 0) == QUOTA

        await eventually(counted)
        assert await shown(second, "limited") == "i1"
        explained = (await second.get("/api/v1/placements/limited?explain=1")).json()["explanation"]

    assert ("i0", "quota") in [(drop["product_id"], drop["step"]) for drop in explained["dropped"]]


async def test_replicas_that_answer_at_the_same_time_agree_within_moments(shop: Any) -> None:
    async with AsyncExitStack() as stack:
        callers = await replicas(shop, stack)
        answers = [await shown(caller, "limited") for _ in range(2 * QUOTA) for caller in callers]

        async def none_shows_it() -> bool:
            answers.extend([await shown(caller, "limited") for caller in callers])
            return answers[-2:] == ["i1", "i1"]

        await eventually(none_shows_it)

    # Each knows its own answers at once, and those of the other about a second later.
    assert QUOTA <= answers.count("i0") <= len(callers) * QUOTA


async def test_an_item_that_was_shown_often_without_a_click_is_left_out_by_every_replica(shop: Any) -> None:
    async with AsyncExitStack() as stack:
        callers = await replicas(shop, stack)
        await stack.enter_async_context(shop.worker())

        async def all_show(item: str) -> None:
            async def is_shown() -> bool:
                return [await shown(caller, "tiring", user_id="u1") for caller in callers] == [item] * 2

            await eventually(is_shown)

        await all_show("i0")

        async def is_tired() -> bool:
            # The worker counts impressions once it knows that a placement of the tenant has fatigue.
            impressions = [shop.interaction("impression", "i0", user_id="u1") for _ in range(2)]
            await shop.publish(INTERACTIONS, *impressions)
            return await shown(callers[0], "tiring", user_id="u1") == "i1"

        await eventually(is_tired)
        await all_show("i1")
        assert await shown(callers[0], "tiring", user_id="u2") == "i0"
        await shop.publish(INTERACTIONS, shop.interaction("click", "i0", user_id="u1"))
        await all_show("i0")
