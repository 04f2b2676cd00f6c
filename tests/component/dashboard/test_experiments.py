"""Experiments on the router's API and a real Postgres: defined, started and stopped in the dashboard."""

from __future__ import annotations

import re

import httpx

from services.router import app as router
from services.router.settings import Settings as RouterSettings
from tests.component.dashboard.conftest import beside
from tests.support.stack import Database
from tests.support.tenants import Tenant


async def followed(client: httpx.AsyncClient, path: str, form: dict[str, str]) -> str:
    """Return the text of the page that a form leads to."""
    answer = await client.post(path, data=form)
    assert answer.status_code == 303, answer.text
    page = await client.get(answer.headers["location"])
    assert page.status_code == 200
    return page.text


async def test_an_experiment_lives_from_its_form_to_its_end(module_database: Database, shop: Tenant) -> None:
    async with beside(module_database, lambda: router.build(RouterSettings())) as client:
        await client.post("/dashboard/sign-in", data={"key": shop.admin})
        page = await client.get("/dashboard/experiments")
        match = re.search(r'name="csrf" value="(\w+)"', page.text)
        assert match is not None
        csrf = {"csrf": match[1]}
        form = {"surface": "recommendations", "traffic": "50", "name-0": "control", "name-1": "new"} | csrf
        draft = await followed(client, "/dashboard/experiments", form | {"name": "first"})
        running = await followed(client, "/dashboard/experiments/first/start", csrf)
        await followed(client, "/dashboard/experiments", form | {"name": "second"})
        conflict = await followed(client, "/dashboard/experiments/second/start", csrf)
        stopped = await followed(client, "/dashboard/experiments/first/stop", csrf)
        refused = await client.post("/dashboard/experiments", data=form | {"name": "third", "traffic": "300"})
        audit = await client.get("/v1/audit", headers={"x-api-key": shop.admin})

    assert "Version 1 is a draft" in draft
    assert "Version 1 runs." in running
    assert "50 % of the visitors" in running
    assert 'class="note error"' in conflict
    assert "The experiment is stopped" in stopped
    assert refused.status_code == 400
    outcomes = [(entry["action"], entry["target"], entry["outcome"]) for entry in audit.json()[:6]]
    assert outcomes == [
        ("define experiment", "third", "refused"),
        ("stop experiment", "first", "done"),
        ("start experiment", "second", "refused"),
        ("define experiment", "second", "done"),
        ("start experiment", "first", "done"),
        ("define experiment", "first", "done"),
    ]
