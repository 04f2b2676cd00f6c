"""Front ends of existing shops: a variant with its items, and which variant a user has."""

from __future__ import annotations

import json
from typing import Any

import httpx

from shared.events.topics import EXPERIMENTS, EXPOSURES
from tests.component.recommender.test_experiments import TREATED, experiment, exposures, follows, shop
from tests.component.recommender.world import KEYS
from tests.support.kafka import raw_records
from tests.support.waiting import eventually

__all__ = ["shop"]
KEY = {"x-api-key": KEYS["service"]}
THIRDS = [
    {"name": "variant_a", "weight": 33},
    {"name": "variant_b", "weight": 33, "strategy": "item-affinity"},
    {"name": "variant_c", "weight": 34, "strategy": "popularity"},
]


def of_variant(running: Any, name: str) -> str:
    """Return a user with lists who has a variant."""
    return next(user for user in (f"u{n}" for n in range(40)) if running.assign(user).name == name)


async def test_a_front_end_gets_the_variant_with_its_items(shop: Any) -> None:
    running = experiment(shop, variants=THIRDS)
    await shop.publish(EXPERIMENTS, running.changed())
    user = of_variant(running, "variant_b")
    async with shop.recommender() as caller:
        await follows(caller, {"affinity": 1}, items=20)

        async def ask(path: str, **body: Any) -> Any:
            return await caller.post(path, json=body)

        answer = await ask("/recommendations", user_id=user, test_name="affinity", num_results=3)
        plain = await ask("/", user_id=user, num_results=3)
        page = await caller.post(
            "/", json={"user_id": user, "num_results": 3}, headers={"origin": "http://shop.test"}
        )
        unknown = await ask("/recommendations", user_id=user, test_name="gone")
        refused = [
            await ask("/recommendations", user_id=user, num_results=0),
            await ask("/", item_id="i1"),
            await caller.post("/", content=b"[1]"),
        ]
        amazon = await ask("/recommendations", userId=user, campaignArn="no arn")

        async def published() -> list[dict[str, Any]]:
            return await exposures(shop)

        (event,) = await eventually(published)

    body = answer.json()
    assert (body["user_id"], body["test_name"], body["variant"]) == (user, "affinity", "variant_b")
    assert body["model_config"] == {
        "recipe": "item-affinity",
        "campaign_arn": None,
        "description": "variant variant_b, by item-affinity",
    }
    assert [row["item_id"] for row in body["recommendations"]] == [item for item, _ in TREATED[:3]]
    assert body["recommendations"][0].keys() == {
        "item_id", "score", "category", "price", "brand", "creation_date",
    }  # fmt: skip
    assert answer.headers["x-variant"] == "variant_b"
    assert plain.json()["recommendations"] == page.json()["recommendations"] == body["recommendations"]
    assert (unknown.json()["variant"], "warning" in unknown.json()) == (None, True)
    assert [each.status_code for each in refused] == [400, 400, 400]
    assert all(each.json()["error"] for each in refused)
    assert amazon.json()["__type"] == "InvalidInputException"
    assert (event["unit"], event["variant"]) == (user, "variant_b")
    assert event["item_ids"] == [item for item, _ in TREATED[:3]]


async def test_a_dashboard_reads_which_variant_a_user_has(shop: Any) -> None:
    running = experiment(shop, variants=THIRDS, traffic=0.999999)
    await shop.publish(EXPERIMENTS, running.changed())
    async with shop.recommender() as caller:
        await follows(caller, {"affinity": 1}, items=20)

        async def get(path: str, **query: Any) -> Any:
            return await caller.get(f"/api/v1/{path}", params=query)

        variants = {
            name: (
                await get("ab-test/variant", dashboard="affinity", user_id=of_variant(running, name))
            ).json()
            for name in ("variant_a", "variant_b")
        }
        missing = (await get("ab-test/variant", dashboard="gone", user_id="u1")).json()
        config = (await get("ml/ab-test/config")).json()["algorithms"]
        forced = await get("ml/ab-test/recommendations/u1", algorithm="variant_b", n_recommendations=2)
        wrong = await get("ml/ab-test/recommendations/u1", algorithm="gone")
        records = await raw_records(shop.kafka, EXPOSURES.name)

    assert [each["variant"] for each in variants.values()] == ["control", "treatment"]
    assert [each["algorithm"] for each in variants.values()] == ["sql", "ml"]
    assert variants["variant_b"]["rollout_percentage"] == 66.9999
    assert (missing["variant"], missing["rollout_percentage"]) == ("control", 0)
    assert [(each["id"], each["weight"], each["is_default"]) for each in config] == [
        ("variant_a", 0.33, True),
        ("variant_b", 0.33, False),
        ("variant_c", 0.34, False),
    ]
    assert [row["product_id"] for row in forced.json()["recommendations"]] == [
        item for item, _ in TREATED[:2]
    ]
    assert (wrong.status_code, wrong.json()["error"]) == (400, "UnknownAlgorithm")
    own = [json.loads(record.value) for record in records]
    assert not [event for event in own if event["tenant"] == shop.tenant]


async def test_a_forced_unit_and_a_held_out_one_are_no_exposures_of_the_experiment(shop: Any) -> None:
    holdout = experiment(shop, "holdout", name="out", salt="out", variants=[{"name": "out"}, {"name": "in"}])
    running = experiment(shop, forced={"u1": "treatment"})
    await shop.publish(EXPERIMENTS, running.changed(), holdout.changed())
    async with shop.recommender() as caller:
        await follows(caller, {"affinity": 1, "out": 1})
        path = "/api/v1/personalize/recommendations"
        answers = {f"u{n}": await caller.get(f"{path}/u{n}") for n in range(40)}

        async def published() -> list[dict[str, Any]]:
            return await exposures(shop)

        held_out = {user for user in answers if holdout.assign(user).name == "out"}
        measured = answers.keys() - held_out
        expected = {("out", user) for user in answers if user != "u1"}
        expected |= {("affinity", user) for user in measured if user != "u1"}
        events = await eventually(
            published,
            enough=lambda events: {(each["experiment"], each["unit"]) for each in events} >= expected,
        )

    assert {(each["experiment"], each["unit"]) for each in events} == expected
    assert answers["u1"].headers["x-variant"] == "treatment"
    assert all("x-variant" not in answers[user].headers for user in held_out - {"u1"})
    assert all("x-variant" in answers[user].headers for user in measured)


async def test_an_exposure_has_the_device_of_its_own_request(shop: Any) -> None:
    """Also where the server answers from the bytes of the request, beside others of the connection."""
    running = experiment(shop, variants=THIRDS)
    await shop.publish(EXPERIMENTS, running.changed())
    devices = {"u1": "mobile", "u2": None, "u3": "desktop"}
    async with (
        shop.listening() as url,
        httpx.AsyncClient(base_url=url, headers=KEY | {"x-endcap-tenant": shop.tenant}) as caller,
    ):
        await follows(caller, {"affinity": 1}, items=20)
        for user, device in devices.items():
            await caller.get("/api/v1/personalize/similar-items/i1", headers={"x-device": "tablet"})
            sent = {} if device is None else {"x-device": device}
            answer = await caller.post("/recommendations", json={"user_id": user}, headers=sent)
            assert answer.status_code == 200, answer.text

        async def published() -> dict[str, str | None]:
            return {event["unit"]: event.get("device") for event in await exposures(shop)}

        found = await eventually(published, enough=lambda found: found.keys() == devices.keys())

    assert found == devices
