"""Proxied requests, assignments and exposures."""

from __future__ import annotations

import asyncio
from typing import Any

import boto3
import pytest
from botocore.config import Config

from shared.settings import KafkaSettings
from tests.component.router.experiments import AB, V1, exposures, run
from tests.support.waiting import eventually

SECRET = "a secret access key of forty characters!"
NOWHERE = "127.0.0.1:1"


async def test_without_an_experiment_requests_are_proxied_unchanged(world: Any) -> None:
    async with world.router() as caller:
        for _ in range(2):  # first through the application, which looks the key up; then the fast path
            answer = await caller.get(f"{V1}/recommendations/a%2Fb%20c?limit=3")

    request = answer.json()["said"]
    assert request["path"] == f"{V1}/recommendations/a%2Fb%20c"
    assert request["query"] == {"limit": "3"}
    assert (request["tenant"], request["key"]) == (world.tenant, "ek_service_test")
    assert answer.headers["x-recs-source"] == "redis"
    assert "x-variant" not in answer.headers
    assert await exposures(world) == []


async def test_each_unit_is_answered_by_its_variant_every_time(world: Any) -> None:
    async with world.router() as caller:
        await run(caller, world, AB)
        first = {f"u{n}": await caller.get(f"{V1}/recommendations/u{n}?limit=5") for n in range(40)}
        repeated = {
            f"u{n}": await caller.get(f"/api/personalize/recommendations?userId=u{n}") for n in range(40)
        }
        untouched = await caller.get(f"{V1}/item-affinity/u1")
        chosen = await caller.get(f"{V1}/recommendations/u1?strategy=popularity")

    variants = {user: answer.headers["x-variant"] for user, answer in first.items()}
    assert set(variants.values()) == {"control", "treatment"}
    assert variants == {user: answer.headers["x-variant"] for user, answer in repeated.items()}
    for user, answer in first.items():
        strategy = {"strategy": "item-affinity"} if variants[user] == "treatment" else {}
        assert answer.json()["said"]["query"] == {"limit": "5"} | strategy
        assert answer.headers["x-experiment"] == "affinity;v=1"
    assert "x-variant" not in untouched.headers
    assert "x-variant" not in chosen.headers

    events = await exposures(world)  # the buffer was emptied at the end
    assert {event["unit"]: event["variant"] for event in events} == variants
    assert len(events) == 40
    assert len({event["event_id"] for event in events}) == 40
    assert events[0]["item_ids"] == ["i1"]


async def test_two_routers_and_a_restart_assign_the_same_variants(world: Any) -> None:
    async with world.router() as router:
        await run(router, world, AB)
        before = [(await router.get(f"{V1}/recommendations/u{n}")).headers["x-variant"] for n in range(20)]
    async with world.router() as two:

        async def running() -> bool:
            return "x-variant" in (await two.get(f"{V1}/recommendations/u0")).headers

        await eventually(running)
        after = [(await two.get(f"{V1}/recommendations/u{n}")).headers["x-variant"] for n in range(20)]

    assert before == after


async def test_an_unmodified_boto3_client_gets_its_variant(world: Any) -> None:
    definition = {
        "name": "home",
        "surface": "campaign/home",
        "variants": [
            {"name": "lists", "strategy": "user-personalization"},
            {"name": "model", "strategy": "arn:aws:personalize:eu-west-1:000000000000:campaign/other"},
        ],
    }

    async with world.listening() as url:
        client = boto3.client(
            "personalize-runtime",
            endpoint_url=url,
            region_name="eu-west-1",
            aws_access_key_id=world.access_key_id,
            aws_secret_access_key=SECRET,
            config=Config(retries={"max_attempts": 1}),
        )

        def ask(campaign: str, user: str) -> Any:
            arn = f"arn:aws:personalize:us-east-1:999999999999:campaign/{campaign}"
            return client.get_recommendations(campaignArn=arn, userId=user, numResults=5)

        plain = await asyncio.to_thread(ask, "plain", "u1")
        with pytest.raises(client.exceptions.ResourceNotFoundException, match="home"):
            await asyncio.to_thread(ask, "home", "u1")

        async with world.router() as caller:
            await run(caller, world, definition)
        await asyncio.sleep(0.6)
        answers = [await asyncio.to_thread(ask, "home", f"u{n}") for n in range(20)]

    assert plain["itemList"] == [{"itemId": "i1", "score": 0.5}]
    assert "x-variant" not in plain["ResponseMetadata"]["HTTPHeaders"]
    headers = [answer["ResponseMetadata"]["HTTPHeaders"] for answer in answers]
    assert {answer_headers["x-variant"] for answer_headers in headers} == {"lists", "model"}
    bodies = [request["body"] for request in world.recommender.requests[-20:]]
    assert {
        (answer_headers["x-variant"], body["campaignArn"])
        for answer_headers, body in zip(headers, bodies, strict=True)
    } == {
        ("lists", "arn:aws:personalize:::recipe/user-personalization"),
        ("model", "arn:aws:personalize:eu-west-1:000000000000:campaign/other"),
    }
    assert all(request["tenant"] == world.tenant for request in world.recommender.requests)
    events = await exposures(world)
    assert len(events) == 20
    assert {event["recommendation_id"] for event in events} == {"RID-1"}


async def test_requests_of_recommenders_are_proxied(world: Any) -> None:
    async with world.listening() as url:
        client = boto3.client(
            "personalize-runtime",
            endpoint_url=url,
            region_name="eu-west-1",
            aws_access_key_id=world.access_key_id,
            aws_secret_access_key=SECRET,
            config=Config(retries={"max_attempts": 1}),
        )
        arn = "arn:aws:personalize:us-east-1:999999999999:recommender/you"

        answer = await asyncio.to_thread(client.get_recommendations, recommenderArn=arn, userId="u1")
        with pytest.raises(
            client.exceptions.ResourceNotFoundException, match=r"no recommender .nobody. here"
        ):
            await asyncio.to_thread(
                client.get_recommendations, recommenderArn=arn.replace("you", "nobody"), userId="u1"
            )
        with pytest.raises(client.exceptions.InvalidInputException, match="no actions"):
            await asyncio.to_thread(client.get_action_recommendations, campaignArn=arn)

    assert answer["itemList"] == [{"itemId": "i1", "score": 0.5}]
    [request] = world.recommender.requests
    assert request["tenant"] == world.tenant
    assert request["body"] == {"recommenderArn": arn, "userId": "u1"}


async def test_a_strategy_that_cannot_be_answered_is_set_aside(world: Any) -> None:
    broken = {**AB, "variants": [{"name": "a", "strategy": "refused-strategy"}, {"name": "b"}]}
    async with world.router() as caller:
        await run(caller, world, broken)
        answers = [await caller.get(f"{V1}/recommendations/u{n}") for n in range(20)]

    assert {answer.status_code for answer in answers} == {200}
    variants = [answer.headers["x-variant"] for answer in answers if "x-variant" in answer.headers]
    assert set(variants) == {"b"}
    assert len(await exposures(world)) == len(variants)


async def test_without_postgres_and_kafka_requests_are_answered(world: Any) -> None:
    nowhere = f"postgresql://router:x@{NOWHERE}/endcap"
    async with world.router(postgres=nowhere, kafka=KafkaSettings(kafka_bootstrap_servers=NOWHERE)) as caller:
        headers = {"x-api-key": "ek_service_test", "x-endcap-tenant": world.tenant}
        answer = await caller.get(f"{V1}/recommendations/u1", headers=headers)

    assert answer.status_code == 200
    assert answer.json()["said"]["tenant"] == world.tenant


async def test_an_experiment_goes_on_without_kafka_and_losses_are_bounded(world: Any) -> None:
    async with world.router(
        kafka=KafkaSettings(kafka_bootstrap_servers=NOWHERE), exposures_kept=10
    ) as caller:
        await run(caller, world, AB)
        answers = [await caller.get(f"{V1}/recommendations/u{n}") for n in range(50)]
        metrics = (await caller.get("/metrics")).text

    assert all("x-variant" in answer.headers for answer in answers)
    lost = next(
        float(line.rpartition(" ")[2])
        for line in metrics.splitlines()
        if line.startswith('endcap_router_exposures_total{outcome="lost"}')
    )
    assert lost >= 1


async def test_an_unavailable_recommender_is_a_503_in_each_protocol(world: Any) -> None:
    async with world.router(upstream=f"http://{NOWHERE}") as caller:
        for _ in range(2):
            rest = await caller.get(f"{V1}/recommendations/u1")
            assert rest.status_code == 503
            assert rest.headers["retry-after"] == "1"
            assert rest.json()["error"] == "Unavailable"
        wire = await caller.post(
            "/recommendations",
            json={"campaignArn": "arn:aws:personalize:us-east-1:1:campaign/plain", "userId": "u1"},
        )

    assert wire.status_code == 503
    assert wire.json()["__type"] == "ServiceUnavailable"


async def test_a_key_that_exceeds_its_rate_gets_a_retry_after(world: Any) -> None:
    settings = world.settings()
    auth = settings.auth.model_copy(
        update={"endcap_read_calls_per_second": 0.01, "endcap_burst_seconds": 300.0}
    )
    async with world.router(auth=auth) as caller:
        # The application answers the first and looks the key up; the fast path answers the others.
        answers = [await caller.get(f"{V1}/recommendations/u1") for _ in range(5)]

    assert [answer.status_code for answer in answers] == [200, 200, 200, 429, 429]
    assert answers[-1].json()["error"] == "TooManyRequests"
    assert 0 < int(answers[-1].headers["retry-after"]) <= 100
