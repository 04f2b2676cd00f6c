"""Changes of scores and order: promotions, exploration, contexts and rankings."""

from __future__ import annotations

import pytest
from botocore.exceptions import ClientError

from tests.component.recommender.campaigns import ids
from tests.component.recommender.filters.conftest import TEAS, Asking, filter_arn


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
