"""What answers contained: published, looked up by the id of the answer, and counted when it is lost."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest

from services.recommender.store.keys import erased_key
from shared.aws.personalize.recommendation_ids import RecommendationIds, is_from, parse, signing_key
from shared.events.servings import RecommendationServed
from shared.events.topics import CACHES, ERASURES, SERVINGS
from shared.kafka.records import Decoder
from tests.component.recommender.world import KEYS, World
from tests.support.erasures import erasure
from tests.support.kafka import raw_records
from tests.support.outage import stopped
from tests.support.stack import Components
from tests.support.waiting import eventually

USER = "user-personalization"
PATH = "/api/v1/personalize/recommendations"
LOOKUP = "/v1/recommendations"


@pytest.fixture(scope="module")
async def shop(module_world: World) -> World:
    """Return a tenant with lists, which the tests of this module share."""
    return await _filled(module_world)


@pytest.fixture(scope="module")
async def caller(shop: World, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[httpx.AsyncClient]:
    """Yield a client of the recommender that the tests of this module share."""
    async with serving(shop, tmp_path_factory.mktemp("shared")) as client:
        yield client


@pytest.fixture
async def own_shop(world: World) -> World:
    """Return a tenant with lists for a test that stops Kafka."""
    return await _filled(world)


async def _filled(world: World) -> World:
    """Put in the lists of fifty users."""
    await world.keys()
    await world.activate(7, 1, [USER, "popularity"])
    await world.lists(7, USER, {f"u{n}": [(f"own-{n}", 1.0), ("next", 0.5)] for n in range(50)})
    await world.lists(7, "popularity", {"all": [("famous", 0.9)]})
    await world.publish(CACHES, world.pointer(1, user_personalization=7, popularity=7))
    return world


@asynccontextmanager
async def serving(shop: World, tmp_path: Path, **changes: Any) -> AsyncIterator[httpx.AsyncClient]:
    """Yield a recommender that knows the active generation."""
    async with shop.recommender(state_folder=tmp_path / "state", **changes) as caller:
        await eventually(lambda: _answers_from_lists(caller))
        yield caller


async def _answers_from_lists(caller: httpx.AsyncClient) -> bool:
    return bool((await caller.get(f"{PATH}/u1")).json()["source"] == "redis")


async def published(shop: World) -> dict[str, Any]:
    """Return the servings of the tenant by id."""
    decoder = Decoder(SERVINGS)
    servings = {}
    for record in await raw_records(shop.kafka, SERVINGS.name):
        event = decoder.decode(record)
        assert isinstance(event, RecommendationServed)
        if event.tenant == shop.tenant:
            signed = [parse(each.recommendation_id) for each in event.servings]
            assert {each and each.partition for each in signed} == {record.partition}
            servings |= {each.recommendation_id: each for each in event.servings}
    return servings


async def test_an_answer_can_be_looked_up_at_once(shop: World, caller: httpx.AsyncClient) -> None:
    answer = await caller.get(f"{PATH}/u3?limit=2")
    id_ = answer.headers["x-recommendation-id"]
    assert answer.json()["recommendation_id"] == id_
    assert is_from(id_, shop.tenant, USER)

    shown = await caller.get(f"{LOOKUP}/{id_}")
    newest = await caller.get(LOOKUP, params={"limit": 1})
    of_placement = await caller.get(LOOKUP, params={"placement": "cart"})

    assert shown.status_code == 200, shown.text
    assert newest.json() == {"recommendations": [shown.json()]}
    assert of_placement.json() == {"recommendations": []}
    body = shown.json()
    assert (body["surface"], body["user_id"], body["target"]) == ("rest", "u3", USER)
    assert (body["source"], body["generation"], body["request"]) == ("redis", 7, {"limit": 2})
    assert body["items"] == [
        {"product_id": "own-3", "rank": 1, "strategy": USER, "picked_by": None, "score": None},
        {"product_id": "next", "rank": 2, "strategy": USER, "picked_by": None, "score": None},
    ]


async def test_every_kind_of_answer_can_be_looked_up(caller: httpx.AsyncClient) -> None:
    backend = (await caller.get("/api/personalize/recommendations?userId=u4")).json()
    guest = (await caller.get("/api/personalize/recommendations")).json()
    place = (await caller.get(f"{PATH}/by-location?city=Graz")).json()
    similar = (await caller.get(f"{PATH}/similar/own-3")).json()
    home = (await caller.get("/api/v1/placements/home?user_id=u5&session_id=s1&category=tea")).json()
    page = (
        await caller.post("/api/v1/pages", json={"placements": ["home", "search"], "user_id": "u6"})
    ).json()["placements"]
    ids = [each["recommendation_id"] for each in (backend, guest, place, similar, home, *page)]
    shown = [await caller.get(f"{LOOKUP}/{id_}") for id_ in ids]

    assert [each.status_code for each in shown] == [200] * 7
    bodies = [each.json() for each in shown]
    assert [each["surface"] for each in bodies] == ["rest"] * 4 + ["placement"] * 3
    assert [each["user_id"] for each in bodies] == ["u4", None, None, None, "u5", "u6", "u6"]
    assert bodies[2]["request"]["city"] == "Graz"
    assert bodies[3]["request"]["item_id"] == "own-3"
    assert (bodies[4]["placement"], bodies[4]["session_id"]) == ("home", "s1")
    assert bodies[4]["request"] == {"category": "tea"}
    assert bodies[4]["items"][0] == {
        "product_id": "own-5",
        "rank": 1,
        "strategy": "for-you",
        "picked_by": None,
        "score": None,
    }
    for body, answer in zip(bodies, (backend, guest, place, similar, home, *page), strict=True):
        rows = [row["product_id"] for row in answer["recommendations"]]
        assert [item["product_id"] for item in body["items"]] == rows


async def test_only_an_id_of_the_tenant_is_looked_up(shop: World, caller: httpx.AsyncClient) -> None:
    ids = RecommendationIds(signing_key(shop.secret_key))
    now = int(datetime.now(UTC).timestamp() * 1000)
    partition = 3
    foreign = ids.new("another", USER, partition, now)
    changed = ids.new(shop.tenant, USER, partition, now)[:-1] + "_"
    old = ids.new(shop.tenant, USER, partition, now - 49 * 3_600_000)
    unpublished = ids.new(shop.tenant, USER, partition, now)
    statuses = {}
    for name, id_ in {
        "foreign": foreign,
        "changed": changed,
        "old": old,
        "unpublished": unpublished,
        "of an earlier release": "RID-1f0c6d52-8a5e-4b7e-9d3c-6a2b1c0d9e8f",
        "made up": "mine",
    }.items():
        answer = await caller.get(f"{LOOKUP}/{id_}")
        assert answer.json()["detail"]
        statuses[name] = answer.status_code
    keyless = await caller.get(f"{LOOKUP}/{unpublished}", headers={"x-api-key": KEYS["ingest"]})

    assert statuses == {
        "foreign": 400,
        "changed": 400,
        "old": 410,
        "unpublished": 404,
        "of an earlier release": 404,
        "made up": 400,
    }
    assert keyless.status_code == 403


async def test_an_answer_of_an_erased_user_is_refused(shop: World, caller: httpx.AsyncClient) -> None:
    before = (await caller.get(f"{PATH}/u7")).json()["recommendation_id"]
    assert (await caller.get(f"{LOOKUP}/{before}")).status_code == 200
    request = erasure("u7", tenant=shop.tenant, occurred_at=datetime.now(UTC))
    await shop.publish(ERASURES, request)

    async def refused() -> bool:
        answer = await caller.get(f"{LOOKUP}/{before}")
        return (answer.status_code, answer.json().get("error")) == (410, "UserErased")

    await eventually(refused)
    later = (await caller.get(f"{PATH}/u7")).json()["recommendation_id"]
    assert (await caller.get(f"{LOOKUP}/{later}")).status_code == 200
    # The mark in Redis outlives the request of the erasure.
    async with shop.worker():
        await eventually(lambda: _is_marked(shop, "u7"))
    await shop.delete(ERASURES, request.key)
    await asyncio.sleep(1)
    assert await refused()


async def _is_marked(shop: World, user: str) -> bool:
    async with shop.redis as redis:
        return bool(await redis.exists(erased_key(shop.tenant, user)))


async def test_two_replicas_look_up_each_others_answers(
    shop: World, caller: httpx.AsyncClient, tmp_path: Path
) -> None:
    async with serving(shop, tmp_path) as other:
        ids = [(await each.get(f"{PATH}/u8")).json()["recommendation_id"] for each in (caller, other)]
        answers = [await each.get(f"{LOOKUP}/{id_}") for each, id_ in itertools.product((caller, other), ids)]

    assert [each.status_code for each in answers] == [200] * 4


async def test_answers_wait_while_kafka_is_stopped(
    own_shop: World, components: Components, tmp_path: Path
) -> None:
    async with serving(own_shop, tmp_path) as caller:
        before = (await caller.get(f"{PATH}/u1")).json()["recommendation_id"]
        assert (await caller.get(f"{LOOKUP}/{before}")).status_code == 200
        async with stopped(components, "kafka"):
            during = [(await caller.get(f"{PATH}/u{n}")).json()["recommendation_id"] for n in range(50)]
            unavailable = await caller.get(f"{LOOKUP}/{during[0]}")
            assert unavailable.status_code == 503
            assert unavailable.headers["retry-after"]
            await asyncio.sleep(3)

        async def all_published() -> bool:
            return set(during) <= (await published(own_shop)).keys()

        await eventually(all_published, every=0.5)

        async def found() -> bool:
            return (await caller.get(f"{LOOKUP}/{during[0]}")).status_code == 200

        await eventually(found, every=0.2)
