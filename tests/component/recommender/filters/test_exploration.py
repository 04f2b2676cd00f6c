"""New items are explored until they were shown often; an event that names its answer implies what it showed.

No other recommender may run meanwhile: its worker is in the same group, and would count the events elsewhere.
"""

from __future__ import annotations

from typing import Any

from services.recommender.store.keys import impressions_key
from shared.events.topics import INTERACTIONS
from tests.component.recommender.campaigns import ids
from tests.component.recommender.filters.conftest import Asking, reasons
from tests.support.waiting import eventually


async def test_new_items_are_explored_until_they_were_shown_often(own_shop: Any, own_ask: Asking) -> None:
    plain = [ids(await own_ask.list_of(userId="u2", numResults=5)) for _ in range(2)]
    assert plain[0] == plain[1]
    young = {"tea-10", "tea-11", "bolt-10", "bolt-11"}
    assert not set(plain[0]) & young
    daring = await own_ask.list_of("daring", userId="u2", numResults=5)
    assert reasons(daring)
    assert set(reasons(daring)) <= young
    assert set(map(tuple, reasons(daring).values())) == {("Exploration",)}
    scores = [item["score"] for item in daring["itemList"]]
    assert scores == sorted(scores, reverse=True)
    impressions = [
        own_shop.interaction("view", "tea-1", session_id=f"s{n}", impression=("tea-1", *young))
        for n in range(400)
    ]
    await own_shop.publish(INTERACTIONS, *impressions)

    async def shown_in_vain() -> bool:
        return not set(ids(await own_ask.list_of("daring", userId="u2", numResults=3))) & young

    await eventually(shown_in_vain)


async def test_an_event_that_names_its_recommendation_implies_impressions(
    own_shop: Any, own_ask: Asking
) -> None:
    answer = await own_ask.list_of("daring", userId="u2", numResults=5)
    young = set(reasons(answer))
    assert young
    event_fields = {"recommendation_id": answer["recommendationId"], "session_id": "s"}
    redis, key = own_shop.redis, impressions_key(own_shop.tenant)
    try:
        # Two events of one answer: what it held was shown once, but for what was turned to.
        for _ in range(2):
            await own_shop.publish(INTERACTIONS, own_shop.interaction("view", min(young), **event_fields))
        last = ("made up", min(young))
        await own_shop.publish(
            INTERACTIONS, own_shop.interaction("view", "tea-1", impression=last, **event_fields)
        )

        async def counted() -> Any:
            return await redis.hget(key, min(young)) == b"1"

        await eventually(counted)
        counts = {item.decode(): int(times) for item, times in (await redis.hgetall(key)).items()}
        # Items that nobody explores are not counted: anybody could make them up.
        assert {item: times for item, times in counts.items() if times} == dict.fromkeys(young, 1)
        assert "made up" not in counts
    finally:
        await redis.aclose()
