"""Definitions of experiments: versions, surfaces, files and quotas."""

from __future__ import annotations

import asyncio
import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from shared.events.topics import EXPERIMENTS
from tests.component.router.experiments import AB, run
from tests.support.kafka import raw_records
from tests.support.processes import finished
from tests.support.waiting import eventually


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
        words = ["apply", str(file), "--tenant", world.tenant, *more]
        environment = {"ROUTER_DATABASE_URL": world.database.role_url("router")}
        return await asyncio.to_thread(finished, "router", words, environment, tmp_path)

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


async def test_what_starts_or_stops_is_published(world: Any) -> None:
    async with world.router() as caller, world.worker():
        await run(caller, world, AB)
        await caller.post("/v1/experiments", json={**AB, "traffic": 0.5}, headers=world.admin)  # a draft

        async def states() -> list[tuple[int, str, float]]:
            records = await raw_records(world.kafka, EXPERIMENTS.name)
            events = [
                json.loads(each.value) for each in records if each.key.startswith(world.tenant.encode())
            ]
            return [(each["experiment_version"], each["status"], each["traffic"]) for each in events]

        await eventually(states, enough=lambda rows: rows == [(1, "running", 1.0)])
        await caller.post("/v1/experiments/affinity/start", headers=world.admin)
        await caller.post("/v1/experiments/affinity/stop", headers=world.admin)
        await caller.post("/v1/experiments/affinity/stop", headers=world.admin)  # nothing new
        expected = [(1, "running", 1.0), (2, "running", 0.5), (2, "stopped", 0.5)]
        await eventually(states, enough=lambda rows: rows == expected)

    rows = await world.sql("SELECT name, version, status FROM router.experiments_v1")
    assert [tuple(row) for row in rows] == [("affinity", 2, "stopped")]
