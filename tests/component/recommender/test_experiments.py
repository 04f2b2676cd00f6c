"""Requests are answered by the variant of their unit, and exposures are published."""

from __future__ import annotations

import asyncio
import json
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest

from shared.events.topics import CACHES, EXPERIMENTS, EXPOSURES, ITEMS
from shared.experiments import Experiment
from shared.settings import KafkaSettings
from tests.component.recommender.campaigns import arn, client
from tests.component.recommender.world import KEYS
from tests.support.kafka import raw_records
from tests.support.waiting import eventually

NOWHERE = "127.0.0.1:1"
V1 = "/api/v1/personalize"
LISTED = [(f"i{n}", round(1 - n / 100, 2)) for n in range(20)]
USERS = [f"u{n}" for n in range(40)]
TREATED = LISTED[10:]
AGENTS = {
    "u0": {"user-agent": "Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) Mobile/15E148"},
    "u1": {"user-agent": "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"},
    "u2": {"user-agent": "shop-backend/1.0", "x-device": "tablet"},
}
AB = [{"name": "control"}, {"name": "treatment", "strategy": "item-affinity"}]


def experiment(world: Any, surface: str = "recommendations", **fields: Any) -> Experiment:
    """Return an experiment of the tenant that runs since now."""
    now = datetime.now(UTC)
    defaults = {
        "tenant": world.tenant,
        "name": "affinity",
        "version": 1,
        "surface": surface,
        "variants": AB,
        "traffic": 1.0,
        "salt": "salt",
        "status": "running",
        "created_at": now,
        "started_at": now,
    }
    return Experiment.model_validate(defaults | fields)


async def exposures(world: Any) -> list[dict[str, Any]]:
    records = await raw_records(world.kafka, EXPOSURES.name)
    events = [json.loads(record.value) for record in records]
    return [event for event in events if event["tenant"] == world.tenant]


async def follows(
    caller: Any, expected: dict[str, int], headers: dict[str, str] | None = None, items: int = 0
) -> None:
    """Wait until the process has these experiments and at least `items` items."""

    async def followed() -> bool:
        status = (await caller.get(f"{V1}/status", headers=headers)).json()
        return bool(status["experiments"] == expected and status["items"] >= items)

    await eventually(followed)


@pytest.fixture
async def shop(world: Any) -> Any:
    """A tenant with two kinds of lists for forty users."""
    await world.activate(7, 1, ["user-personalization", "item-affinity", "similar-items", "popularity"])
    await world.lists(7, "user-personalization", dict.fromkeys(USERS, LISTED[:10]))
    await world.lists(7, "item-affinity", dict.fromkeys(USERS, TREATED))
    await world.lists(7, "similar-items", {"i1": LISTED[2:12]})
    await world.publish(ITEMS, *(world.item(f"i{n}", name=f"Item {n}", price=1) for n in range(20)))
    pointer = world.pointer(1, user_personalization=7, item_affinity=7, similar_items=7, popularity=7)
    await world.publish(CACHES, pointer)
    return world


def ids(answer: Any) -> list[str]:
    return [entry["product_id"] for entry in answer.json()["recommendations"]]


async def test_a_placement_answers_by_the_variant_of_its_visitor(shop: Any, tmp_path: Any) -> None:
    variants = [{"name": "control"}, {"name": "affinity", "strategy": "item-affinity"}]
    running = experiment(shop, "placement/home", variants=variants)
    await shop.publish(EXPERIMENTS, running.changed())
    async with shop.recommender(state_folder=tmp_path / "state") as caller:
        await follows(caller, {"affinity": 1})
        answers = {
            user: await caller.get(f"/api/v1/placements/home?user_id={user}&limit=5") for user in USERS
        }
        page = (
            await caller.post("/api/v1/pages", json={"placements": ["product", "home"], "user_id": "u1"})
        ).json()["placements"]
        id_ = answers["u1"].json()["recommendation_id"]
        shown = (await caller.get(f"/v1/recommendations/{id_}")).json()

        async def published() -> list[dict[str, Any]]:
            return await exposures(shop)

        events = await eventually(
            published, enough=lambda events: {event["unit"] for event in events} == set(USERS)
        )

    expected = {"control": LISTED[:5], "affinity": TREATED[:5]}
    for user, answer in answers.items():
        variant = running.assign(user)
        assert variant is not None
        body = answer.json()
        assert answer.headers["x-variant"] == variant.name
        assert body["experiment"] == {"name": "affinity", "version": 1, "variant": variant.name}
        assert ids(answer) == [item_id for item_id, _ in expected[variant.name]]
    first = answers["u1"].json()["experiment"]
    assert page[1]["experiment"] == first
    assert shown["experiment"] == {**first, "propensity": 0.5}
    scores = [score for _, score in expected[first["variant"]]]
    assert [item["score"] for item in shown["items"]] == pytest.approx(scores)
    assert "experiment" not in page[0]
    by_unit = {event["unit"]: event for event in events}
    assert by_unit["u1"]["recommendation_id"] == id_
    assert by_unit["u1"]["surface"] == "placement/home"
    assert {unit: event["variant"] for unit, event in by_unit.items()} == {
        user: answer.json()["experiment"]["variant"] for user, answer in answers.items()
    }


async def test_each_unit_is_answered_by_its_variant_every_time(shop: Any) -> None:
    running = experiment(shop, trigger_share=0.25)
    await shop.publish(EXPERIMENTS, running.changed())
    async with shop.recommender() as caller:
        await follows(caller, {"affinity": 1})
        first = {
            user: await caller.get(f"{V1}/recommendations/{user}?limit=5", headers=AGENTS.get(user))
            for user in USERS
        }
        again = {user: await caller.get(f"/api/personalize/recommendations?userId={user}") for user in USERS}
        untouched = await caller.get(f"{V1}/item-affinity/u1")
        chosen = await caller.get(f"{V1}/recommendations/u1?strategy=popularity")
        guest = await caller.get("/api/personalize/recommendations")

    variants = {user: answer.headers["x-variant"] for user, answer in first.items()}
    assert set(variants.values()) == {"control", "treatment"}
    assert variants == {user: answer.headers["x-variant"] for user, answer in again.items()}
    for user, answer in first.items():
        expected = TREATED if variants[user] == "treatment" else LISTED
        assert ids(answer) == [item for item, _ in expected[:5]]
        assert answer.headers["x-experiment"] == "affinity;v=1"
    assert not [answer for answer in (untouched, chosen, guest) if "x-variant" in answer.headers]

    published = await exposures(shop)  # the buffer was emptied at the end
    marks, events = ([event for event in published if event["differs"] is each] for each in (True, False))
    assert {event["unit"]: event["variant"] for event in events} == variants
    assert len(events) == len({event["event_id"] for event in events}) == 40
    assert all(event["item_ids"] == ids(first[event["unit"]]) for event in published)
    assert all(event["milliseconds"] > 0 and event["fallback"] is False for event in events)
    devices = {event["unit"]: event["device"] for event in events if "device" in event}
    assert devices == {"u0": "mobile", "u1": "desktop", "u2": "tablet"}
    marked = {event["unit"] for event in marks}
    assert marked
    assert marked <= {user for user in USERS if running.compares(user)}


async def test_two_processes_assign_the_same_variants_and_publish_the_same_exposures(shop: Any) -> None:
    await shop.publish(EXPERIMENTS, experiment(shop).changed())
    async with shop.recommender() as one, shop.recommender() as two:
        assigned = []
        for caller in (one, two):
            await follows(caller, {"affinity": 1})
            answers = [await caller.get(f"{V1}/recommendations/{user}") for user in USERS]
            assigned.append([answer.headers["x-variant"] for answer in answers])

    assert assigned[0] == assigned[1]
    events = await exposures(shop)
    assert (len(events), len({event["event_id"] for event in events})) == (80, 40)


async def test_items_related_to_an_item_have_the_unit_of_the_request(shop: Any) -> None:
    variants = [{"name": "control"}, {"name": "popular", "strategy": "popularity"}]
    await shop.publish(EXPERIMENTS, experiment(shop, "similar-items", variants=variants).changed())
    async with shop.recommender() as caller:
        await follows(caller, {"affinity": 1})
        nobody = await caller.get(f"{V1}/similar-items/i1")
        by_user = await caller.get(f"{V1}/similar-items/i1?userId=u%201&sessionId=s")
        by_session = await caller.get("/api/personalize/recommendations/i1?sessionId=s")

    assert "x-variant" not in nobody.headers
    events = {event["unit"]: event["variant"] for event in await exposures(shop)}
    assert events == {"u 1": by_user.headers["x-variant"], "s": by_session.headers["x-variant"]}


async def test_a_strategy_that_cannot_be_answered_is_set_aside(shop: Any) -> None:
    variants = [{"name": "a", "strategy": "no-such-recipe"}, {"name": "b"}]
    await shop.publish(EXPERIMENTS, experiment(shop, variants=variants).changed())
    async with shop.recommender() as caller:
        await follows(caller, {"affinity": 1})
        answers = [await caller.get(f"{V1}/recommendations/{user}") for user in USERS]

    assert {answer.status_code for answer in answers} == {200}
    assigned = [answer.headers["x-variant"] for answer in answers if "x-variant" in answer.headers]
    assert set(assigned) == {"b"}
    assert len(await exposures(shop)) == len(assigned) < 40


async def test_the_view_is_followed_without_kafka_and_losses_are_bounded(shop: Any) -> None:
    running = experiment(shop)
    await shop.sql(
        "INSERT INTO router.experiments (tenant, name, version, surface, traffic, salt, variants, status, "
        "started_at) VALUES ($1, 'affinity', 1, 'recommendations', 1, 'salt', $2, 'running', now())",
        (shop.tenant, json.dumps([variant.model_dump() for variant in running.variants])),
    )
    nowhere = KafkaSettings(kafka_bootstrap_servers=NOWHERE)
    async with shop.recommender(kafka=nowhere, exposures_kept=10) as caller:
        await follows(caller, {"affinity": 1})
        answers = [await caller.get(f"{V1}/recommendations/{user}") for user in USERS]
        metrics = (await caller.get("/metrics")).text
        await shop.sql("UPDATE router.experiments SET status = 'stopped', stopped_at = now()", ())
        await follows(caller, {})
        stopped = await caller.get(f"{V1}/recommendations/u1")

    assert all("x-variant" in answer.headers for answer in answers)
    assert "x-variant" not in stopped.headers
    lost = next(
        float(line.rpartition(" ")[2])
        for line in metrics.splitlines()
        if line.startswith('endcap_recommender_exposures_total{outcome="lost"}')
    )
    assert lost >= 1


async def test_the_end_of_an_experiment_is_followed_whatever_is_read_first(shop: Any) -> None:
    first, now = experiment(shop), datetime.now(UTC)
    ended = first.model_copy(update={"status": "stopped", "stopped_at": now})
    second = first.model_copy(update={"name": "second"})
    async with shop.recommender() as caller:
        await shop.publish(EXPERIMENTS, first.changed())
        await follows(caller, {"affinity": 1})
        await shop.publish(EXPERIMENTS, ended.changed(), second.changed(), first.changed())
        await follows(caller, {"second": 1})
        answer = await caller.get(f"{V1}/recommendations/u1")

    assert answer.headers["x-experiment"] == "second;v=1"


async def test_an_unmodified_boto3_client_gets_its_variant(shop: Any) -> None:
    """The ARN names no campaign, only the surface of the experiment."""
    variants = [
        {"name": "lists", "strategy": "user-personalization"},
        {"name": "affinity", "strategy": "item-affinity"},
        {"name": "none", "strategy": "arn:aws:personalize:eu-west-1:000000000000:campaign/other"},
    ]
    await shop.keys()
    await shop.sql(
        "INSERT INTO engine.resources (account, tenant, type, path, arn, name, status, document) "
        "VALUES ($1, $2, 'dataset-group', $2, 'arn:group/' || $2, $2, 'ACTIVE', '{}')",
        (shop.account, shop.tenant),
    )
    await shop.publish(EXPERIMENTS, experiment(shop, "campaign/home", variants=variants).changed())
    key = {"x-api-key": KEYS["read"]}
    async with shop.listening() as url, httpx.AsyncClient(base_url=url, headers=key) as caller:
        await follows(caller, {"affinity": 1})
        personalize = client(url)

        async def ask(user: str) -> Any:
            try:
                return await asyncio.to_thread(
                    personalize.get_recommendations, campaignArn=arn("home"), userId=user, numResults=5
                )
            except personalize.exceptions.ResourceNotFoundException:
                return None  # neither the variant's campaign nor the one that the ARN names exists

        # At the same time: the server looks for an unknown campaign for a while.
        asked = zip(USERS, await asyncio.gather(*map(ask, USERS)), strict=True)
        answers = [(user, answer) for user, answer in asked if answer is not None]

    headers = {user: answer["ResponseMetadata"]["HTTPHeaders"] for user, answer in answers}
    assigned = {user: each["x-variant"] for user, each in headers.items()}
    assert set(assigned.values()) == {"lists", "affinity"}
    for user, answer in answers:
        expected = TREATED if assigned[user] == "affinity" else LISTED
        assert [item["itemId"] for item in answer["itemList"]] == [item for item, _ in expected[:5]]
    events = await exposures(shop)
    assert {event["unit"]: event["variant"] for event in events} == assigned
    assert {event["recommendation_id"] for event in events} == {
        answer["recommendationId"] for _, answer in answers
    }
