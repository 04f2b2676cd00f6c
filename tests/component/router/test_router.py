"""Proxied requests."""

from __future__ import annotations

import asyncio
from typing import Any

import boto3
import pytest
from botocore.config import Config

from shared.settings import KafkaSettings
from tests.component.router.experiments import AB, V1, run

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


async def test_the_decision_of_the_recommender_is_passed_on(world: Any) -> None:
    async with world.router() as caller:
        answers = [await caller.get(f"{V1}/recommendations/u1?limit=5") for _ in range(2)]
        chosen = await caller.get(f"{V1}/recommendations/u1?strategy=none")

    for answer in answers:
        assert (answer.headers["x-experiment"], answer.headers["x-variant"]) == ("home;v=1", "a")
        assert answer.json()["said"]["query"] == {"limit": "5"}
    # It sends a request once, whatever the answer.
    assert (chosen.status_code, chosen.json()["error"]) == (400, "UnknownStrategy")
    assert len(world.recommender.requests) == 3


async def test_an_unmodified_boto3_client_gets_its_variant(world: Any) -> None:
    """A key pair names an account: the campaign, or the experiment on its surface, selects the tenant."""
    definition = {**AB, "name": "home", "surface": "campaign/home"}

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

        plain = await asyncio.to_thread(ask, "plain", "u2")
        with pytest.raises(client.exceptions.ResourceNotFoundException, match="home"):
            await asyncio.to_thread(ask, "home", "u1")

        async with world.router() as caller:
            await run(caller, world, definition)
        await asyncio.sleep(0.6)
        by_experiment = await asyncio.to_thread(ask, "home", "u1")

    assert plain["itemList"] == by_experiment["itemList"] == [{"itemId": "i1", "score": 0.5}]
    assert "x-variant" not in plain["ResponseMetadata"]["HTTPHeaders"]
    assert by_experiment["ResponseMetadata"]["HTTPHeaders"]["x-variant"] == "a"
    assert [request["body"] for request in world.recommender.requests] == [
        {
            "campaignArn": f"arn:aws:personalize:us-east-1:999999999999:campaign/{campaign}",
            "userId": user,
            "numResults": 5,
        }
        for campaign, user in (("plain", "u2"), ("home", "u1"))
    ]
    assert all(request["tenant"] == world.tenant for request in world.recommender.requests)


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


async def test_without_postgres_and_kafka_requests_are_answered(world: Any) -> None:
    nowhere = f"postgresql://router:x@{NOWHERE}/endcap"
    async with world.router(postgres=nowhere, kafka=KafkaSettings(kafka_bootstrap_servers=NOWHERE)) as caller:
        headers = {"x-api-key": "ek_service_test", "x-endcap-tenant": world.tenant}
        answer = await caller.get(f"{V1}/recommendations/u1", headers=headers)

    assert answer.status_code == 200
    assert answer.json()["said"]["tenant"] == world.tenant


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


async def test_requests_of_front_ends_are_passed_on(world: Any) -> None:
    async with world.router() as caller:
        answers = [
            await caller.post(path, json={"user_id": "u1", "num_results": 5})
            for path in ("/recommendations", "/")
        ]
        refused = await caller.post("/", json={"user_id": "u1"}, headers={"x-api-key": "ek_wrong"})
        arn = "arn:aws:personalize:::campaign/plain"
        amazon = await caller.post(
            "/recommendations", json={"campaignArn": arn, "context": {"user_id": "u1"}}
        )

    for answer, path in zip(answers, ("/recommendations", "/"), strict=True):
        received = answer.json()["said"]
        assert (received["path"], received["tenant"]) == (path, world.tenant)
        assert received["body"] == {"user_id": "u1", "num_results": 5}
        assert answer.headers["x-variant"] == "a"
    assert refused.status_code == 401
    assert refused.json()["error"]
    assert amazon.json()["itemList"] == [{"itemId": "i1", "score": 0.5}]
