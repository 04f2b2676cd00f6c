"""An experiment on the REST lists."""

from __future__ import annotations

from typing import Any

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
