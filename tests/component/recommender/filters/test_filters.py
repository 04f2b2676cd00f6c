"""Filters and metadata of the Personalize runtime, through boto3."""

from __future__ import annotations

import time
import uuid
from datetime import UTC, datetime
from typing import Any

import pytest
from botocore.exceptions import ClientError

from shared.events import UserChanged
from shared.events.topics import CACHES, CAMPAIGNS, FILTERS, INTERACTIONS, ITEMS, USERS
from tests.component.recommender.campaigns import campaign, ids
from tests.component.recommender.filters.conftest import BOLTS, TEAS, Asking, filter_arn, reasons
from tests.support.lateness import lateness
from tests.support.waiting import eventually


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
    child = await ask.list_of(userId="u6", filterArn=filter_arn("adults"))
    adult = await ask.list_of(userId="u8", filterArn=filter_arn("adults"))
    assert set(ids(child)) == set(BOLTS)
    assert set(TEAS) <= set(ids(adult))
    await shop.publish(
        USERS,
        UserChanged(
            event_id=str(uuid.uuid4()),
            tenant=shop.tenant,
            occurred_at=datetime.now(UTC),
            user_id="u6",
            attributes={"age": 21},
        ),
    )

    async def grown() -> bool:
        return set(TEAS) <= set(ids(await ask.list_of(userId="u6", filterArn=filter_arn("adults"))))

    await eventually(grown)


async def test_newer_values_of_the_shop_override_those_of_the_training_data(
    own_shop: Any, own_ask: Asking
) -> None:
    await own_shop.publish(ITEMS, own_shop.item("bolt-11", price=0.5, attributes={"genres": ["tea", "odd"]}))
    request = {"filterArn": filter_arn("kind"), "filterValues": {"KIND": '"tea"'}}

    async def recommendations() -> Any:
        answer = await own_ask.list_of(
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


async def test_a_session_id_works_as_a_user_id(shop: Any, ask: Asking) -> None:
    await shop.publish(
        INTERACTIONS, *(shop.interaction("view", f"bolt-{n}", session_id="anonymous") for n in range(3))
    )

    async def heard() -> bool:
        listed = ids(await ask.list_of(userId="anonymous", numResults=4))
        return all(item.startswith("bolt") for item in listed)

    await eventually(heard)


async def test_lists_are_filtered_while_there_is_no_model(own_shop: Any, own_ask: Asking) -> None:
    await own_shop.lists(
        7, "user-personalization", {"u1": [("tea-1", 0.5), ("bolt-1", 0.4), ("bolt-2", 0.1)]}
    )
    await own_shop.lists(7, "popularity", {"all": [("tea-2", 0.5), ("bolt-3", 0.2)]})
    await own_shop.publish(CACHES, own_shop.pointer(1, user_personalization=7, popularity=7))
    await own_shop.publish(
        ITEMS, *(own_shop.item(item, attributes={"GENRES": item[:3]}) for item in (*TEAS[:4], *BOLTS[:4]))
    )
    await own_shop.publish(
        CAMPAIGNS, campaign(own_shop, "coming", "aws-user-personalization", "no-such-bucket", "0" * 64)
    )

    async def listed() -> Any:
        try:
            answer = await own_ask.list_of(
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
    await ask.list_of(userId="u1", filterArn=filter_arn("deleted"))
    await shop.delete(FILTERS, f"{shop.tenant}:deleted")

    async def refused() -> bool:
        try:
            await ask.list_of(userId="u1", filterArn=filter_arn("deleted"))
        except ask.boto.exceptions.ResourceNotFoundException:
            return True
        return False

    await eventually(refused)
