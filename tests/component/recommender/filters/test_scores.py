"""Changes of scores and order: promotions, exploration, contexts and rankings."""

from __future__ import annotations

from typing import Any

import pytest
from botocore.exceptions import ClientError

from services.recommender.store.keys import impressions_key
from shared.events.topics import INTERACTIONS
from tests.component.recommender.campaigns import ids
from tests.component.recommender.filters.conftest import TEAS, Asking, filter_arn, reasons
from tests.support.waiting import eventually


async def test_promotions_take_their_share_of_the_answer(ask: Asking) -> None:
    promotion = {
        "name": "bolts-for-all",
        "percentPromotedItems": 20,
        "filterArn": filter_arn("kind"),
        "filterValues": {"KIND": '"bolt"'},
    }
    rest = {"filterArn": filter_arn("not-kind"), "filterValues": {"KIND": '"bolt"'}}
    order = ids(await ask.list_of(userId="u2", filterArn=filter_arn("kind"), filterValues={"KIND": '"bolt"'}))
    places = set()
    for _ in range(5):
        answer = await ask.list_of(userId="u2", numResults=10, promotions=[promotion], **rest)
        promoted = [item for item in answer["itemList"] if item.get("promotionName") == "bolts-for-all"]
        assert [item["itemId"] for item in promoted] == order[:2]
        assert all(item["reason"] == ["Promoted item"] for item in promoted)
        assert len(ids(answer)) == len(set(ids(answer))) == 10
        assert {item[:3] for item in set(ids(answer)) - set(order[:2])} == {"tea"}
        places |= {ids(answer).index(order[0])}
    assert len(places) > 1

    few = {**promotion, "percentPromotedItems": 100, "filterArn": filter_arn("cheap")}
    del few["filterValues"]
    answer = await ask.list_of(userId="u2", numResults=20, promotions=[few])
    assert sum("promotionName" in item for item in answer["itemList"]) == 6
    assert len(ids(answer)) == 20


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


@pytest.mark.parametrize(("device", "digits"), [("phone", "02468"), ("desk", "13579")])
async def test_a_context_prefers_items_of_events_in_that_context(
    ask: Asking, device: str, digits: str
) -> None:
    # Somebody new, so what is popular: among the teas that depends on the device alone.
    listed = ids(await ask.list_of(userId="new", context={"DEVICE": device}))
    teas = [item[-1] for item in listed if item in TEAS[:10]]
    ranked = await ask.rank(userId="new", inputList=["tea-3", "tea-4"], context={"device": device})

    assert {*teas[:5]} == {*digits}
    assert ids(ranked)[0][-1] in digits


async def test_a_context_of_unknown_columns_is_rejected(ask: Asking) -> None:
    for awaitable in (
        ask.list_of(userId="u2", context={"COLOUR": "red"}),
        ask.rank(userId="u2", inputList=["tea-3"], context={"DEVICE": "phone", "COLOUR": "red"}),
    ):
        with pytest.raises(
            ClientError, match=r"'COLOUR' is no metadata column .* it has DEVICE, NOTE"
        ) as caught:
            await awaitable
        assert caught.value.response["Error"]["Code"] == "InvalidInputException"


async def test_a_ranking_is_a_permutation_of_the_items_that_pass(ask: Asking) -> None:
    item_ids = ["stranger", "bolt-3", "tea-3", "bolt-4", "tea-4"]
    ranked = await ask.rank(userId="u2", inputList=item_ids, context={"DEVICE": "phone"})
    passed = await ask.rank(
        userId="u2",
        inputList=item_ids,
        filterArn=filter_arn("not-kind"),
        filterValues={"KIND": '"bolt"'},
        metadataColumns={"ITEMS": ["PRICE"]},
    )
    assert sorted(ids(ranked)) == sorted(item_ids)
    assert ids(ranked)[-1] == "stranger"
    assert sum(item.get("score", 0) for item in ranked["personalizedRanking"]) == pytest.approx(1, abs=1e-6)
    assert sorted(ids(passed)) == ["stranger", "tea-3", "tea-4"]
    assert sum(item.get("score", 0) for item in passed["personalizedRanking"]) == pytest.approx(1, abs=1e-6)
    assert {item["itemId"]: item["metadata"] for item in passed["personalizedRanking"]} == {
        "stranger": {},
        "tea-3": {"price": "3.0"},
        "tea-4": {"price": "4.0"},
    }
