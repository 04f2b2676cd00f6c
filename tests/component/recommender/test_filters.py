"""Filters, promotions, metadata and exploration of the Personalize runtime, through boto3."""

from __future__ import annotations

import asyncio
import random
import time
import uuid
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pytest
from botocore.exceptions import ClientError

from services.engine.computations.context_counts import ContextCounter
from services.engine.training.recipes import RECIPES, Dataset, train
from services.recommender.store.keys import impressions_key
from shared.events import FilterChanged, UserChanged
from shared.events.topics import CACHES, CAMPAIGNS, FILTERS, INTERACTIONS, ITEMS, USERS
from shared.models import fingerprint, save
from tests.component.recommender.campaigns import arn, campaign, client, ids, loaded, upload_models
from tests.support.lateness import lateness
from tests.support.waiting import eventually

if TYPE_CHECKING:
    from tests.support.stack import ObjectStore

TEAS = [f"tea-{n}" for n in range(12)]
BOLTS = [f"bolt-{n}" for n in range(12)]
DAY = 86_400
RECIPES_OF = {
    "user": "aws-user-personalization",
    "similar": "aws-similar-items",
    "daring": "aws-user-personalization",
    "second": "aws-user-personalization-v2",
    "silent": "aws-user-personalization-v2",
}
DARING = {"itemExplorationConfig": {"explorationWeight": "1", "explorationItemAgeCutOff": "30"}}
PLAIN = {
    "itemExplorationConfig": {"explorationWeight": "0"},
    "enableMetadataWithRecommendations": True,
}
CONFIGS: dict[str, dict[str, Any]] = {
    "daring": DARING,
    "second": {},
    "silent": {"enableMetadataWithRecommendations": False},
}
FILTER_TEXTS = {
    "kind": "INCLUDE ItemID WHERE Items.GENRES IN ($KIND)",
    "not-kind": "EXCLUDE ItemID WHERE Items.GENRES IN ($KIND)",
    "cheap": "INCLUDE ItemID WHERE Items.PRICE < 3",
    "unbought": 'EXCLUDE ItemID WHERE Interactions.EVENT_TYPE IN ("Purchase")',
    "again": 'INCLUDE ItemID WHERE Interactions.event_type = "purchase"',
    "adults": 'EXCLUDE ItemID WHERE Items.GENRES IN ("tea") IF CurrentUser.AGE < 18',
    "like-this": "INCLUDE ItemID WHERE Items.PRICE < 2 | EXCLUDE ItemID WHERE Items.GENRES IN ($KIND)",
}


def dataset() -> Dataset:
    """Return forty users of tea and forty of bolts; the last two items of each are new and never sold."""
    rng, now, rows = random.Random(1), int(time.time()), []
    for user in range(80):
        wares = (TEAS if user % 2 == 0 else BOLTS)[:10]
        rows += [
            (f"u{user}", item, now - DAY * (n + 1) - user, "Purchase" if n == 0 else "View")
            for n, item in enumerate(rng.sample(wares, 6))
        ]
    columns = zip(*rows, strict=True)
    interactions = pa.table(
        dict(zip(("USER_ID", "ITEM_ID", "TIMESTAMP", "EVENT_TYPE"), columns, strict=True))
    )
    items = pa.table(
        {
            "ITEM_ID": TEAS + BOLTS,
            "GENRES": ["tea|drink"] * 12 + ["bolt"] * 12,
            "PRICE": [float(n) for n in range(12)] * 2,
            "NAME": [item.replace("-", "") for item in TEAS + BOLTS],
            "CREATION_TIMESTAMP": ([now - 300 * DAY] * 10 + [now - DAY] * 2) * 2,
        }
    )
    users = pa.table({"USER_ID": [f"u{n}" for n in range(80)], "AGE": [10 + n for n in range(80)]})
    return Dataset.from_arrow(interactions, items, users)


def devices() -> ContextCounter:
    """Teas with even numbers are viewed on phones, those with odd numbers on desktops."""
    tally = ContextCounter(["DEVICE"])
    teas = TEAS[:10] * 20
    device = [("phone", "desk")[n % 2] for n in range(10)] * 20
    tally.add(pa.table({"ITEM_ID": teas, "DEVICE": device}))
    return tally


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Yield a model per recipe, and the purchases in its training data."""
    shop, made = dataset(), {}
    for recipe in set(RECIPES_OF.values()):
        made[recipe] = tmp_path_factory.mktemp(recipe)
        model, _ = train(RECIPES[recipe], shop, {})
        save(replace(model, context=devices().context(["DEVICE", "NOTE"], model.items)), made[recipe])
    return made


@pytest.fixture(scope="module")
def models(s3: ObjectStore, module_bucket: str, folders: dict[str, Path]) -> str:
    """Return the bucket with the models."""
    upload_models(s3.client(), module_bucket, folders)
    return module_bucket


class Asking:
    """An unmodified boto3 client in a thread."""

    def __init__(self, url: str) -> None:
        self.boto = client(url)

    async def list_of(self, name: str = "user", **members: Any) -> Any:
        """GetRecommendations."""
        if "promotions" not in members:
            members = {"numResults": 24, **members}
        return await asyncio.to_thread(self.boto.get_recommendations, campaignArn=arn(name), **members)

    async def rank(self, **members: Any) -> Any:
        """GetPersonalizedRanking."""
        return await asyncio.to_thread(self.boto.get_personalized_ranking, campaignArn=arn("user"), **members)


@pytest.fixture
async def shop(world: Any, s3: ObjectStore, models: str, folders: dict[str, Path]) -> Any:
    """The campaigns, and the filters."""
    world.store = s3
    await world.keys()
    for name, recipe in RECIPES_OF.items():
        config = CONFIGS.get(name, PLAIN)
        sha256 = fingerprint(folders[recipe])
        await world.publish(CAMPAIGNS, campaign(world, name, recipe, models, sha256, **config))
    await world.publish(FILTERS, *(announced(world, name, text) for name, text in FILTER_TEXTS.items()))
    return world


@pytest.fixture
async def ask(shop: Any) -> AsyncIterator[Asking]:
    """The recommender with everything in memory, and its worker."""
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(shop.worker())
        url = await stack.enter_async_context(shop.listening())
        await loaded(url, shop.tenant, len(RECIPES_OF))
        yield Asking(url)


def announced(world: Any, name: str, expression: str) -> FilterChanged:
    return FilterChanged(
        event_id=str(uuid.uuid4()),
        tenant=world.tenant,
        occurred_at=datetime.now(UTC),
        name=name,
        arn=f"arn:aws:personalize:us-east-1:{world.account}:filter/{name}",
        status="ACTIVE",
        expression=expression,
    )


def filter_arn(name: str) -> str:
    return f"arn:aws:personalize:us-west-2:999999999999:filter/{name}"


def reasons(answer: Any) -> dict[str, list[str]]:
    return {item["itemId"]: item["reason"] for item in answer["itemList"] if "reason" in item}


async def test_attributes_filter_with_values_of_the_request(ask: Asking) -> None:
    teas = await ask.list_of(userId="u1", filterArn=filter_arn("kind"), filterValues={"KIND": '"tea"'})
    both = await ask.list_of(userId="u1", filterArn=filter_arn("kind"), filterValues={"KIND": '"tea","bolt"'})
    bolts = await ask.list_of(userId="u1", filterArn=filter_arn("not-kind"), filterValues={"KIND": '"drink"'})
    everything = await ask.list_of(userId="u1", filterArn=filter_arn("not-kind"))
    cheap = await ask.list_of(userId="u1", filterArn=filter_arn("cheap"), numResults=3)

    assert set(ids(teas)) <= set(TEAS)
    assert len(ids(teas)) == 12
    assert set(ids(both)) == set(ids(everything)) == {*TEAS, *BOLTS}
    assert set(ids(bolts)) == set(BOLTS)
    assert len(ids(cheap)) == 3
    assert all(item.endswith(("-0", "-1", "-2")) for item in ids(cheap))
    scores = [item["score"] for item in bolts["itemList"] if "score" in item]
    assert scores == sorted(scores, reverse=True)


MISTAKES: list[tuple[dict[str, Any], str, str]] = [
    ({"filterArn": filter_arn("none")}, "ResourceNotFoundException", "no filter 'none'"),
    ({"filterArn": filter_arn("kind")}, "InvalidInputException", "KIND"),
    ({"filterArn": filter_arn("kind"), "filterValues": {"K": '"a"'}}, "InvalidInputException", "K"),
    ({"filterValues": {"KIND": '"a"'}}, "InvalidInputException", "filterArn"),
    ({"metadataColumns": {"ITEMS": ["NOTHING"]}}, "InvalidInputException", "NOTHING"),
    ({"metadataColumns": {"ITEMS": [f"C{n}" for n in range(11)]}}, "InvalidInputException", "10"),
    ({"metadataColumns": {"ITEMS": ["PRICE"]}, "numResults": 51}, "InvalidInputException", "50"),
    (
        {"promotions": [{"name": "p", "filterArn": filter_arn("kind")}]},
        "InvalidInputException",
        "percentPromotedItems",
    ),
]


async def test_mistakes_say_what_is_wrong(ask: Asking) -> None:
    for members, code, message in MISTAKES:
        with pytest.raises(ClientError, match=message) as raised:
            await ask.list_of(userId="u1", **members)
        assert raised.value.response["Error"]["Code"] == code, members
    for unready in ("daring", "silent"):
        with pytest.raises(ClientError, match="enableMetadata"):
            await ask.list_of(unready, userId="u1", metadataColumns={"ITEMS": ["PRICE"]})
    with pytest.raises(ClientError, match="userId is required by the filter"):
        await ask.list_of("similar", itemId="tea-1", filterArn=filter_arn("unbought"))


async def test_recipes_of_the_second_version_have_metadata_without_asking(ask: Asking) -> None:
    answer = await ask.list_of("second", userId="u1", numResults=3, metadataColumns={"ITEMS": ["PRICE"]})

    prices = {item["itemId"]: item["metadata"]["price"] for item in answer["itemList"]}
    assert prices == {item: f"{item.partition('-')[2]}.0" for item in ids(answer)}


async def test_a_purchase_disappears_within_two_seconds_unless_a_filter_selects_purchases(
    shop: Any, ask: Asking
) -> None:
    before = await ask.list_of(userId="u2", filterArn=filter_arn("again"))
    unbought = await ask.list_of(userId="u2", filterArn=filter_arn("unbought"))
    assert len(ids(before)) == 1
    assert not set(ids(before)) & set(ids(unbought))
    like = {"itemId": "tea-1", "userId": "u2", "filterArn": filter_arn("unbought")}
    assert not set(ids(before)) & set(ids(await ask.list_of("similar", **like)))
    first = ids(unbought)[0]

    async def is_gone() -> bool:
        return first not in ids(await ask.list_of(userId="u2", filterArn=filter_arn("unbought")))

    async with lateness() as late:
        began = time.monotonic()
        await shop.publish(INTERACTIONS, shop.interaction("purchase", first, user_id="u2"))
        await eventually(is_gone)
        took = time.monotonic() - began
    assert took < 2 + late.worst
    after = await ask.list_of(userId="u2", filterArn=filter_arn("again"))
    assert set(ids(after)) == {*ids(before), first}


async def test_the_current_user_has_the_properties_of_the_shop(shop: Any, ask: Asking) -> None:
    child = await ask.list_of(userId="u2", filterArn=filter_arn("adults"))
    adult = await ask.list_of(userId="u8", filterArn=filter_arn("adults"))
    assert set(ids(child)) == set(BOLTS)
    assert set(TEAS) <= set(ids(adult))
    await shop.publish(
        USERS,
        UserChanged(
            event_id=str(uuid.uuid4()),
            tenant=shop.tenant,
            occurred_at=datetime.now(UTC),
            user_id="u2",
            attributes={"age": 21},
        ),
    )

    async def grown() -> bool:
        return set(TEAS) <= set(ids(await ask.list_of(userId="u2", filterArn=filter_arn("adults"))))

    await eventually(grown)


async def test_newer_values_of_the_shop_override_those_of_the_training_data(shop: Any, ask: Asking) -> None:
    await shop.publish(ITEMS, shop.item("bolt-11", price=0.5, attributes={"genres": ["tea", "odd"]}))
    request = {"filterArn": filter_arn("kind"), "filterValues": {"KIND": '"tea"'}}

    async def recommendations() -> Any:
        answer = await ask.list_of(
            userId="u1", **request, metadataColumns={"ITEMS": ["PRICE", "GENRES", "NAME"]}
        )
        return "bolt-11" in ids(answer) and answer

    answer = await eventually(recommendations)
    described = {item["itemId"]: item["metadata"] for item in answer["itemList"]}
    assert described["bolt-11"] == {"price": "0.5", "genres": "tea|odd", "name": "bolt11"}
    assert described["tea-3"] == {"price": "3.0", "genres": "tea|drink", "name": "tea3"}


async def test_popular_items_that_pass_follow_too_few_similar_ones(ask: Asking) -> None:
    passing = {"filterArn": filter_arn("kind"), "filterValues": {"KIND": '"tea"'}}
    answer = await ask.list_of("similar", itemId="bolt-1", numResults=5, **passing)
    alike = await ask.list_of("similar", itemId="tea-1", numResults=3, **passing)
    assert len(ids(answer)) == 5
    assert set(ids(answer)) <= set(TEAS)
    assert reasons(answer) == {item: ["Popular item"] for item in ids(answer)}
    assert all("score" not in item for item in answer["itemList"])
    assert reasons(alike) == {}


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


async def test_young_items_are_explored_until_they_were_shown_often(shop: Any, ask: Asking) -> None:
    plain = [ids(await ask.list_of(userId="u2", numResults=5)) for _ in range(2)]
    assert plain[0] == plain[1]
    young = {"tea-10", "tea-11", "bolt-10", "bolt-11"}
    assert not set(plain[0]) & young
    daring = await ask.list_of("daring", userId="u2", numResults=5)
    assert reasons(daring)
    assert set(reasons(daring)) <= young
    assert set(map(tuple, reasons(daring).values())) == {("Exploration",)}
    scores = [item["score"] for item in daring["itemList"]]
    assert scores == sorted(scores, reverse=True)
    impressions = [
        shop.interaction("view", "tea-1", session_id=f"s{n}", impression=("tea-1", *young))
        for n in range(400)
    ]
    await shop.publish(INTERACTIONS, *impressions)

    async def shown_in_vain() -> bool:
        return not set(ids(await ask.list_of("daring", userId="u2", numResults=3))) & young

    await eventually(shown_in_vain)


async def test_an_event_that_names_its_recommendation_implies_impressions(shop: Any, ask: Asking) -> None:
    answer = await ask.list_of("daring", userId="u2", numResults=5)
    young = set(reasons(answer))
    assert young
    event_fields = {"recommendation_id": answer["recommendationId"], "session_id": "s"}
    redis, key = shop.redis, impressions_key(shop.tenant)
    try:
        # Two events of one answer: what it held was shown once, but for what was turned to.
        for _ in range(2):
            await shop.publish(INTERACTIONS, shop.interaction("view", min(young), **event_fields))
        last = ("made up", min(young))
        await shop.publish(INTERACTIONS, shop.interaction("view", "tea-1", impression=last, **event_fields))

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


async def test_a_session_id_works_as_a_user_id(shop: Any, ask: Asking) -> None:
    await shop.publish(
        INTERACTIONS, *(shop.interaction("view", f"bolt-{n}", session_id="anonymous") for n in range(3))
    )

    async def heard() -> bool:
        listed = ids(await ask.list_of(userId="anonymous", numResults=4))
        return all(item.startswith("bolt") for item in listed)

    await eventually(heard)


async def test_lists_are_filtered_while_there_is_no_model(shop: Any, ask: Asking) -> None:
    await shop.lists(7, "user-personalization", {"u1": [("tea-1", 0.5), ("bolt-1", 0.4), ("bolt-2", 0.1)]})
    await shop.lists(7, "popularity", {"all": [("tea-2", 0.5), ("bolt-3", 0.2)]})
    await shop.publish(CACHES, shop.pointer(1, user_personalization=7, popularity=7))
    await shop.publish(
        ITEMS, *(shop.item(item, attributes={"GENRES": item[:3]}) for item in (*TEAS[:4], *BOLTS[:4]))
    )
    await shop.publish(
        CAMPAIGNS, campaign(shop, "coming", "aws-user-personalization", "no-such-bucket", "0" * 64)
    )

    async def listed() -> Any:
        try:
            answer = await ask.list_of(
                "coming", userId="u1", filterArn=filter_arn("kind"), filterValues={"KIND": '"bol"'}
            )
        except ClientError:
            return None
        return len(ids(answer)) == 3 and answer

    answer = await eventually(listed)
    assert ids(answer) == ["bolt-1", "bolt-2", "bolt-3"]
    assert reasons(answer) == {"bolt-3": ["Popular item"]}
    assert ["score" in item for item in answer["itemList"]] == [True, True, False]


async def test_a_deleted_filter_is_not_found(shop: Any, ask: Asking) -> None:
    await ask.list_of(userId="u1", filterArn=filter_arn("cheap"))
    await shop.delete(FILTERS, f"{shop.tenant}:cheap")

    async def refused() -> bool:
        try:
            await ask.list_of(userId="u1", filterArn=filter_arn("cheap"))
        except ask.boto.exceptions.ResourceNotFoundException:
            return True
        return False

    await eventually(refused)
