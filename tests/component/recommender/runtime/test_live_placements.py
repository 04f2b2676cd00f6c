"""Placements with models: newer events are scored live, and items have their neighbours."""

from __future__ import annotations

from typing import Any

import httpx

from shared.events.topics import INTERACTIONS
from tests.component.recommender.campaigns import loaded
from tests.support.waiting import PATIENCE, eventually

HEADERS = {"x-api-key": "ek_service_test"}


async def test_events_of_a_session_and_of_a_user_are_scored_at_once(own_shop: Any) -> None:
    headers = {**HEADERS, "x-endcap-tenant": own_shop.tenant}
    async with (
        own_shop.listening() as url,
        own_shop.worker(),
        httpx.AsyncClient(base_url=f"{url}/api/v1/placements", headers=headers, timeout=PATIENCE) as caller,
    ):
        await loaded(url, own_shop.tenant, 4)

        async def shown(query: str) -> tuple[list[str], str]:
            answer = (await caller.get(query)).json()
            return [row["product_id"] for row in answer["recommendations"]], answer["source"]

        trained, source = await shown("home?user_id=u0&limit=5")
        assert source == "model"
        assert all(item.startswith("tea") for item in trained)
        related, source = await shown("product?item_id=bolt-1&limit=5")
        assert source == "model"
        assert all(item.startswith("bolt") and item != "bolt-1" for item in related)

        await own_shop.publish(
            INTERACTIONS,
            *(own_shop.interaction("view", item, session_id="s1") for item in ("bolt-1", "bolt-2")),
            *(own_shop.interaction("view", f"bolt-{n}", user_id="u0") for n in range(9)),
        )

        async def follows(query: str) -> bool:
            items, source = await shown(query)
            return source == "model" and all(item.startswith("bolt") for item in items)

        await eventually(lambda: follows("home?session_id=s1&limit=3"))
        await eventually(lambda: follows("home?user_id=u0&limit=3"))
