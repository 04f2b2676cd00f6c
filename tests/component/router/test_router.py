"""Proxied requests, assignments, exposures and outcomes."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.config import Config

from shared.events import Claim, UserErasureRequested
from shared.events.topics import ERASURE_RECEIPTS, ERASURES, EXPOSURES, INTERACTIONS
from shared.settings import KafkaSettings
from tests.support.kafka import raw_records
from tests.support.processes import base_environment
from tests.support.waiting import eventually

SECRET = "a secret access key of forty characters!"
NOWHERE = "127.0.0.1:1"
V1 = "/api/v1/personalize"
AB = {
    "name": "affinity",
    "surface": "recommendations",
    "variants": [{"name": "control"}, {"name": "treatment", "strategy": "item-affinity"}],
}


async def run(caller: Any, world: Any, definition: dict[str, Any]) -> None:
    answer = await caller.post("/v1/experiments", json=definition, headers=world.admin)
    assert answer.status_code == 201, answer.text
    answer = await caller.post(f"/v1/experiments/{definition['name']}/start", headers=world.admin)
    assert answer.status_code == 200, answer.text


async def exposures(world: Any) -> list[dict[str, Any]]:
    records = await raw_records(world.kafka, EXPOSURES.name)
    events = [json.loads(record.value) for record in records]
    return [event for event in events if event["tenant"] == world.tenant]


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


async def test_outcomes_are_counted_once_per_event_in_any_order(world: Any) -> None:
    async with world.router() as caller:
        await run(caller, world, AB)
        early = world.purchase("u0")
        await asyncio.sleep(0.01)
        for n in range(10):
            await caller.get(f"{V1}/recommendations/u{n}")
        later = [world.purchase(f"u{n}") for n in range(10)]
        stranger = world.purchase("never-exposed")
        async with world.worker():
            # Everything twice, as a replay does it.
            for _ in range(2):
                await world.publish(INTERACTIONS, early, *later, later[0], stranger)

            async def counted() -> Any:
                answer = await caller.get("/v1/experiments/affinity", headers=world.admin)
                result = answer.json()
                events = sum(
                    variant["events"].get("purchase", {}).get("events", 0) for variant in result["variants"]
                )
                return events >= 10 and sum(variant["exposed"] for variant in result["variants"]) == 10

            await eventually(counted)
            await asyncio.sleep(0.5)
            result = (await caller.get("/v1/experiments/affinity", headers=world.admin)).json()

    assert sum(variant["events"]["purchase"]["events"] for variant in result["variants"]) == 10
    assert sum(variant["events"]["purchase"]["units"] for variant in result["variants"]) == 10
    assert sum(variant["events"]["purchase"]["value"] for variant in result["variants"]) == 25
    assert result["mixed_units"] == 0
    assert result["status"] == "running"


async def test_a_claim_that_an_order_corrects_counts_for_the_order_s_user(world: Any) -> None:
    async with world.router() as caller:
        await run(caller, world, AB)
        for n in range(3):
            await caller.get(f"{V1}/recommendations/u{n}")
        stolen, agreed = world.purchase("u0", event_id="line-1", value=900), world.purchase("u2")
        order = world.purchase("u1", event_id="line-1", value=5)
        cheaper = world.purchase("u2", event_id=agreed.event_id, value=3, historical=True)
        corrections = [
            truth.model_copy(update={"replaces": Claim.model_validate(claim, from_attributes=True)})
            for truth, claim in ((order, stolen), (cheaper, agreed))
        ]
        async with world.worker():
            # The order may come first under its own key; everything twice, as a replay does it.
            for _ in range(2):
                await world.publish(INTERACTIONS, stolen, order, agreed, *corrections)

            async def outcomes() -> Any:
                return await world.sql(
                    "SELECT event_id, unit, value FROM router.outcomes ORDER BY value DESC"
                )

            await eventually(
                outcomes,
                enough=lambda rows: (
                    [tuple(row) for row in rows] == [("line-1", "u1", 5.0), (agreed.event_id, "u2", 3.0)]
                ),
            )


async def test_values_stored_without_a_bound_do_not_break_the_results(world: Any) -> None:
    """The sum of two values of 1.7e308 overflowed, and every request for the results failed."""
    async with world.router() as caller:
        await run(caller, world, AB)
        await world.sql(
            "INSERT INTO router.exposed_units (tenant, experiment, version, unit, variant, first_at) "
            "VALUES ($1, 'affinity', 1, 'u', 'control', now() - interval '1 hour')",
            (world.tenant,),
        )
        await world.sql(
            "INSERT INTO router.outcomes (tenant, experiment, version, event_id, unit, event_type, value, "
            "occurred_at) VALUES ($1, 'affinity', 1, $2, 'u', 'purchase', $3, now())",
            *((world.tenant, f"e{n}", value) for n, value in enumerate((1.7e308, 1.7e308, 1e39, 2.5, None))),
            *((world.tenant, f"f{n}", value) for n, value in enumerate((float("nan"), float("inf"), 1e-320))),
        )

        answer = await caller.get("/v1/experiments/affinity", headers=world.admin)

    assert answer.status_code == 200, answer.text
    control = next(variant for variant in answer.json()["variants"] if variant["name"] == "control")
    assert control["events"] == {"purchase": {"events": 8, "units": 1, "value": 2.5, "values_left_out": 5}}


async def test_results_that_take_too_long_are_a_503(world: Any) -> None:
    async with world.router(results_seconds=1e-6) as caller:
        await run(caller, world, AB)
        answer = await caller.get("/v1/experiments/affinity", headers=world.admin)

    assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")


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


async def test_one_experiment_runs_per_surface_and_versions_never_change(world: Any) -> None:
    competing = {**AB, "name": "other"}
    wider = {**AB, "traffic": 0.5}
    async with world.router() as caller:

        async def post(path: str, body: Any = None) -> Any:
            return await caller.post(f"/v1/experiments{path}", json=body, headers=world.admin)

        await run(caller, world, wider)
        assert (await post("", wider)).status_code == 200  # nothing new
        assert (await post("", competing)).status_code == 201
        taken = await post("/other/start")
        assert (taken.status_code, taken.json()["error"]) == (409, "SurfaceTaken")

        second = await post("", AB)
        assert second.json()["version"] == 2
        assert second.json()["salt"] == (await experiment_version(caller, world, 1))["salt"]
        assert (await post("/affinity/start")).json()["version"] == 2
        assert (await experiment_version(caller, world, 1))["status"] == "stopped"

        assert (await post("/affinity/stop")).json()["status"] == "stopped"
        assert (await post("/affinity/stop")).json()["status"] == "stopped"
        restarted = await post("/affinity/start")
        assert (restarted.status_code, restarted.json()["error"]) == (409, "Stopped")
        assert (await post("/other/start")).status_code == 200
        listed = (await caller.get("/v1/experiments", headers=world.admin)).json()
        assert [(each["name"], each["version"], each["status"]) for each in listed] == [
            ("affinity", 2, "stopped"),
            ("other", 1, "running"),
        ]
        missing = await caller.get("/v1/experiments/none", headers=world.admin)
        assert (missing.status_code, missing.json()["error"]) == (404, "UnknownExperiment")
        assert (await caller.get("/v1/experiments")).status_code == 403

    with pytest.raises(Exception, match="never changes"):
        await world.sql("UPDATE router.experiments SET traffic = $1", (0.1,))


async def experiment_version(caller: Any, world: Any, version: int) -> Any:
    answer = await caller.get(f"/v1/experiments/affinity?version={version}", headers=world.admin)
    return answer.json()


async def test_applying_a_file_again_changes_nothing(world: Any, tmp_path: Path) -> None:
    file = tmp_path / "experiments.json"
    file.write_text(json.dumps([{**AB, "running": True}]))

    async def apply(*more: str) -> subprocess.CompletedProcess[str]:
        return await asyncio.to_thread(
            subprocess.run,
            [sys.executable, "-m", "services.router", "apply", str(file), "--tenant", world.tenant, *more],
            env={**base_environment(), "ROUTER_DATABASE_URL": world.database.role_url("router")},
            capture_output=True,
            text=True,
            check=False,
        )

    first, second = await apply(), await apply()
    file.write_text('{"name": "broken"}')
    broken = await apply()

    assert (first.returncode, first.stdout) == (0, "affinity version 1 (new): running\n")
    assert (second.returncode, second.stdout) == (0, "affinity version 1 (as before): running\n")
    assert broken.returncode == 2
    assert "surface" in broken.stderr
    rows = await world.sql("SELECT name, status FROM router.experiments")
    assert [tuple(row) for row in rows] == [("affinity", "running")]


async def test_a_tenant_has_a_quota_of_experiments_and_can_delete_drafts(world: Any) -> None:
    async with world.router(max_experiments=2, max_experiment_versions=2) as caller:

        async def define(name: str, salt: str = "a") -> tuple[int, str]:
            body = {**AB, "name": name, "salt": salt}
            answer = await caller.post("/v1/experiments", json=body, headers=world.admin)
            return answer.status_code, answer.json().get("error", "")

        async def delete(name: str) -> tuple[int, str]:
            answer = await caller.delete(f"/v1/experiments/{name}", headers=world.admin)
            return answer.status_code, answer.json()["error"] if answer.content else ""

        assert [await define(name) for name in ("one", "two")] == [(201, ""), (201, "")]
        assert await define("three") == (409, "LimitExceeded")
        assert [await define("one", salt) for salt in "bc"] == [(201, ""), (409, "LimitExceeded")]
        assert [await delete(name) for name in ("two", "two")] == [(204, ""), (404, "UnknownExperiment")]
        await run(caller, world, {**AB, "name": "three"})
        assert await delete("three") == (409, "NoDraft")


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


async def test_an_erased_user_still_counts_without_a_name(world: Any) -> None:
    request = UserErasureRequested(
        event_id="e",
        tenant=world.tenant,
        occurred_at=datetime.now(UTC) + timedelta(minutes=1),
        erasure_id=world.tenant,
        user_id="u0",
        session_ids=("s0",),
    )
    async with world.router() as caller:
        await run(caller, world, AB)
        for n in range(4):
            await caller.get(f"{V1}/recommendations/u{n}")
        bought = [world.purchase(f"u{n}") for n in range(4)]
        async with world.worker():
            await world.publish(INTERACTIONS, *bought)

            async def result() -> list[tuple[int, int]]:
                answer = await caller.get("/v1/experiments/affinity", headers=world.admin)
                return [
                    (each["exposed"], each["events"].get("purchase", {}).get("events", 0))
                    for each in answer.json()["variants"]
                ]

            async def counted() -> bool:
                return [sum(column) for column in zip(*await result(), strict=True)] == [4, 4]

            await eventually(counted)
            before = await result()
            # Twice, as a replay brings it, and then what was on its way meanwhile.
            await world.publish(ERASURES, request, request)

            async def receipts() -> list[dict[str, Any]]:
                records = await raw_records(world.kafka, ERASURE_RECEIPTS.name)
                events = [json.loads(record.value) for record in records]
                return [each["rows"] for each in events if each["tenant"] == world.tenant]

            async def confirmed() -> bool:
                return len(await receipts()) == 2

            await eventually(confirmed)
            await world.publish(INTERACTIONS, world.purchase("u0"), world.purchase("u1"))

            async def counted_again() -> bool:
                return sum(events for _, events in await result()) == 5

            await eventually(counted_again)

            after = await result()

    assert await receipts() == [{"exposed_units": 1, "outcomes": 1}] * 2
    assert [exposed for exposed, _ in after] == [exposed for exposed, _ in before]
    names = await world.sql(
        "SELECT tenant, unit FROM router.exposed_units UNION ALL SELECT tenant, unit FROM router.outcomes"
    )
    assert "u0" not in {row["unit"] for row in names if row["tenant"] == world.tenant}
