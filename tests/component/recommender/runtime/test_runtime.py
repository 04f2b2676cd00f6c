"""The runtime API through an unmodified boto3: models scored live, lists as their fallback."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path
from typing import Any

import httpx
import pytest
from botocore.exceptions import ClientError

from shared.aws.personalize.recommendation_ids import is_from
from shared.events.topics import CACHES, CAMPAIGNS, INTERACTIONS, ITEMS
from shared.models import fingerprint
from tests.component.recommender.campaigns import arn, campaign, client, ids, loaded
from tests.component.recommender.runtime.conftest import FITTED, TEAS
from tests.support.waiting import PATIENCE, eventually


async def test_a_model_scores_by_the_most_recent_events(shop: Any, url: str) -> None:
    runtime = client(url)

    def ask(**members: Any) -> Any:
        return runtime.get_recommendations(**members)

    known = await asyncio.to_thread(ask, campaignArn=arn("user"), userId="u0", numResults=5)
    nobody = await asyncio.to_thread(ask, campaignArn=arn("user"), userId="new", numResults=24)
    similar = await asyncio.to_thread(ask, campaignArn=arn("similar"), itemId="bolt-1", numResults=4)
    popular = await asyncio.to_thread(ask, campaignArn=arn("popular"))

    assert all(item.startswith("tea") for item in ids(known))
    assert [item["score"] for item in known["itemList"]] == sorted(
        (item["score"] for item in known["itemList"]), reverse=True
    )
    assert re.fullmatch(r"RID-[A-Za-z0-9_-]{32}", known["recommendationId"])
    assert is_from(known["recommendationId"], shop.tenant, "user")
    assert {item[:3] for item in ids(nobody)} == {"tea", "bol"}
    assert all(item.startswith("bolt") for item in ids(similar))
    assert "score" not in similar["itemList"][0]
    assert len(popular["itemList"]) == 24
    assert "score" not in popular["itemList"][0]

    await shop.publish(
        INTERACTIONS, *(shop.interaction("view", item, user_id="new") for item in ("bolt-1", "bolt-2"))
    )

    async def heard() -> Any:
        answer = await asyncio.to_thread(ask, campaignArn=arn("user"), userId="new", numResults=5)
        return all(item.startswith("bolt") for item in ids(answer)) and answer

    await eventually(heard)
    first = ids(await heard())[0]
    await shop.publish(INTERACTIONS, shop.interaction("purchase", first, user_id="new"))

    async def is_gone() -> bool:
        answer = await asyncio.to_thread(ask, campaignArn=arn("user"), userId="new", numResults=24)
        return first not in ids(answer)

    await eventually(is_gone)


async def test_a_ranking_puts_unknown_items_last(url: str) -> None:
    item_ids = ["stranger", "bolt-3", "tea-3", "bolt-4", "tea-4", "another"]
    runtime = client(url)
    ranked = await asyncio.to_thread(
        runtime.get_personalized_ranking, campaignArn=arn("ranking"), userId="u0", inputList=item_ids
    )
    same = await asyncio.to_thread(
        runtime.get_personalized_ranking, campaignArn=arn("user"), userId="u0", inputList=item_ids
    )
    with pytest.raises(ClientError, match="rank"):
        await asyncio.to_thread(
            runtime.get_personalized_ranking, campaignArn=arn("similar"), userId="u0", inputList=item_ids
        )

    assert same["personalizedRanking"] == ranked["personalizedRanking"]
    assert sorted(ids(ranked)) == sorted(item_ids)
    assert {item[:3] for item in ids(ranked)[:2]} == {"tea"}
    assert ids(ranked)[-2:] == ["stranger", "another"]
    scores = [item.get("score") for item in ranked["personalizedRanking"]]
    assert scores[-2:] == [None, None]
    assert sum(scores[:-2]) == pytest.approx(1, abs=1e-5)


async def test_unavailable_items_are_not_recommended(own_shop: Any) -> None:
    await own_shop.publish(ITEMS, *(own_shop.item(item, available=False) for item in TEAS[:6]))
    async with own_shop.listening() as url:
        await loaded(url, own_shop.tenant, len(FITTED))
        runtime = client(url)

        async def left_out() -> bool:
            answer = await asyncio.to_thread(
                runtime.get_recommendations, campaignArn=arn("user"), userId="u0", numResults=24
            )
            return not set(ids(answer)) & set(TEAS[:6]) and len(ids(answer)) >= 10

        await eventually(left_out)


MISTAKES: list[tuple[dict[str, Any], str]] = [
    ({"campaignArn": arn("none"), "userId": "u"}, "ResourceNotFoundException"),
    ({"campaignArn": arn("user")}, "InvalidInputException"),
    ({"campaignArn": arn("similar"), "userId": "u"}, "InvalidInputException"),
    ({"campaignArn": arn("ranking"), "userId": "u"}, "InvalidInputException"),
    ({"campaignArn": arn("user"), "userId": "u", "numResults": 501}, "InvalidInputException"),
    (
        {"campaignArn": arn("user"), "userId": "u", "filterArn": "arn:aws:personalize:a:1:filter/f"},
        "ResourceNotFoundException",
    ),
    (
        {"campaignArn": "arn:aws:personalize:::recipe/popularity", "userId": "u"},
        "ResourceNotFoundException",
    ),
    ({"recommenderArn": "arn:aws:personalize:a:1:recommender/r"}, "ResourceNotFoundException"),
]


async def test_errors_have_the_names_of_aws(url: str) -> None:
    runtime = client(url)
    for members, error in MISTAKES:
        with pytest.raises(ClientError) as raised:
            await asyncio.to_thread(runtime.get_recommendations, **members)
        assert raised.value.response["Error"]["Code"] == error, members


async def test_a_variant_may_be_a_campaign_also_in_rest_and_a_recipe_also_on_the_wire(own_shop: Any) -> None:
    await own_shop.lists(7, "popularity", {"all": [("famous", 0.5)]})
    await own_shop.publish(CACHES, own_shop.pointer(1, popularity=7))
    async with own_shop.listening() as url, httpx.AsyncClient(base_url=url, timeout=PATIENCE) as caller:
        await loaded(url, own_shop.tenant, len(FITTED))
        headers = {"x-api-key": "ek_service_test", "x-endcap-tenant": own_shop.tenant}
        rest = await caller.get(
            "/api/v1/personalize/recommendations/u0",
            params={"strategy": arn("user"), "limit": 3},
            headers=headers,
        )

        async def wired() -> bool:
            answer = await caller.post(
                "/recommendations",
                json={"campaignArn": "arn:aws:personalize:::recipe/popularity", "userId": "u0"},
                headers=headers,
            )
            return answer.status_code == 200 and ids(answer.json()) == ["famous"]

        await eventually(wired)

    assert rest.json()["source"] == "model"
    assert all(item["product_id"].startswith("tea") for item in rest.json()["recommendations"])


async def test_a_recommender_and_a_campaign_may_have_the_same_name(
    shop: Any, url: str, models: str, folders: dict[str, Path]
) -> None:
    recipe = "aws-ecomm-customers-who-viewed-x-also-viewed"
    similar = fingerprint(folders["aws-similar-items"])

    async def announce(status: str) -> None:
        changed = campaign(shop, "recommender/user", recipe, models, similar, status)
        where = {
            "model_uri": f"s3://{models}/models/aws-similar-items",
            "arn": changed.arn.replace("campaign/recommender", "recommender"),
        }
        await shop.publish(CAMPAIGNS, changed.model_copy(update=where))

    await announce("ACTIVE")
    await loaded(url, shop.tenant, len(FITTED) + 1)
    runtime = client(url)
    named = {"recommenderArn": arn("user").replace("campaign", "recommender"), "numResults": 4}

    def refused(code: str, **members: Any) -> str:
        with pytest.raises(ClientError) as caught:
            runtime.get_recommendations(**{**named, **members})
        assert caught.value.response["Error"]["Code"] == code
        return str(caught.value)

    answer = await asyncio.to_thread(runtime.get_recommendations, **named, userId="u0", itemId="bolt-1")
    beside = await asyncio.to_thread(
        runtime.get_recommendations, campaignArn=arn("user"), userId="u0", numResults=4
    )
    assert all(item.startswith("bolt") for item in ids(answer))
    assert all(item.startswith("tea") for item in ids(beside))
    message = await asyncio.to_thread(refused, "InvalidInputException", itemId="bolt-1")
    assert "userId is required by the recipe of this recommender" in message
    nobody = arn("nobody").replace("campaign", "recommender")
    await asyncio.to_thread(refused, "ResourceNotFoundException", recommenderArn=nobody, userId="u0")
    await asyncio.to_thread(refused, "InvalidInputException", recommenderArn=arn("user"), userId="u0")
    with pytest.raises(ClientError, match="no actions"):
        await asyncio.to_thread(runtime.get_action_recommendations, campaignArn=arn("user"))

    await announce("INACTIVE")

    async def stopped() -> bool:
        try:
            await asyncio.to_thread(runtime.get_recommendations, **named, userId="u0", itemId="bolt-1")
        except ClientError as error:
            return "INACTIVE, not ACTIVE" in str(error)
        return False

    await eventually(stopped)
