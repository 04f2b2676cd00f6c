"""Off-policy estimates over the router's API: logged answers, and rewards in Postgres."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.component.router.experiments import run

PINS = {"strategies": [{"strategy": "fixed", "item_ids": ["i1", "i3"]}]}
HOME = {
    "name": "home",
    "surface": "placement/home",
    "variants": [{"name": "control"}, {"name": "new", "strategy": "popular"}],
}
RATES = {"i1": 0.5, "i2": 0.2, "i3": 0.3, "i4": 0.1}
LISTS = {"control": ["i1", "i2"], "new": ["i3", "i4"]}
ANSWERS = 400


def replay(number: int, rng: random.Random, now: datetime) -> dict[str, Any]:
    """Return a logged answer of one of two variants, each with half of the visitors."""
    return {
        "recommendation_id": f"r{number}",
        "user_id": f"u{number}" if number % 2 else None,
        "session_id": None if number % 2 else f"s{number}",
        "served_at": (now - timedelta(minutes=10)).isoformat(),
        "product_ids": LISTS[rng.choice(("control", "new"))],
        "target_ids": ["i1", "i3"],
        "propensities": dict.fromkeys(RATES, 0.5),
    }


async def test_rewards_of_logged_answers_are_read_from_postgres(world: Any) -> None:
    rng, now = random.Random(7), datetime.now(UTC)
    replays = world.recommender.replays = [replay(number, rng, now) for number in range(ANSWERS)]
    clicks = [
        (each, item_id, "click", now)
        for each in replays
        for item_id in each["product_ids"]
        if rng.random() < RATES[item_id]
    ]
    nothing = [
        (replays[0], "i1", "view", now),  # another type
        (replays[1] | {"recommendation_id": "r-other"}, "i1", "click", now),  # another answer
        (replays[2], "i1", "click", now - timedelta(hours=1)),  # before the answers
        (replays[3] | {"user_id": "stranger"}, "i9", "click", now),  # somebody else
        (replays[4], "i7", "click", now),  # not in the answer
    ]
    members = ("user_id", "session_id", "recommendation_id")
    rows = [
        (world.tenant, f"e{number}", *(each[member] for member in members), kind, item_id, at)
        for number, (each, item_id, kind, at) in enumerate([*clicks, *clicks[:20], *nothing])
    ]
    await world.sql(
        "INSERT INTO tracker.interactions (tenant, event_id, user_id, session_id, recommendation_id, "
        "event_type, item_id, occurred_at, source, received_at, historical, fingerprint) "
        "VALUES ($1, $2, $3, $4, $5, $6, $7, $8, 'events', $8, false, 0)",
        *rows,
    )
    async with world.router() as caller:
        await run(caller, world, HOME)
        answer = await caller.post(
            "/v1/experiments/home/off-policy?event=click", json=PINS, headers=world.admin
        )
    estimate = answer.json()

    assert answer.status_code == 200, answer.text
    # A click of an item of the definition counts twice, because half of the visitors could make it.
    pins = sum(item_id in PINS["strategies"][0]["item_ids"] for _, item_id, *_ in clicks)
    assert estimate["ips"]["value"] == pytest.approx(2 * pins / ANSWERS)
    assert estimate["logged"]["value"] == pytest.approx(len(clicks) / ANSWERS)
    assert (estimate["answers"], estimate["support"], estimate["refusal"]) == (ANSWERS, 1.0, None)
    truth = RATES["i1"] + RATES["i3"]
    assert all(estimate[name]["low"] < truth < estimate[name]["high"] for name in ("ips", "snips", "dr"))
