"""An experiment on the REST lists, and the exposures that a router published."""

from __future__ import annotations

import json
from typing import Any

from shared.events.topics import EXPOSURES
from tests.support.kafka import raw_records

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
