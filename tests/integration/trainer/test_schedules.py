"""Schedules: what a tenant puts, and that each time that is due is one run."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from services.trainer.domain.schedules import MAX_SCHEDULES, Cron, Schedule
from services.trainer.schedule import ScheduledRuns
from tests.integration.trainer.conftest import Trainer
from tests.support.tenants import Tenant

MIDNIGHT = datetime(2026, 1, 3, tzinfo=UTC)
DAY = timedelta(days=1)


def worker(trainer: Trainer, default: str = "") -> ScheduledRuns:
    return ScheduledRuns(trainer.schedules, default, DAY)


async def put(trainer: Trainer, cron: str, name: str = "often", **more: Any) -> None:
    await trainer.schedules.put("default", name, Schedule(Cron(cron), **more), MIDNIGHT)


async def reasons(trainer: Trainer, tenant: str = "default") -> list[list[str]]:
    return [run["reasons"] for run in await trainer.runs.list_newest(tenant)]


async def test_of_several_workers_one_requests_the_run_of_a_time(trainer: Trainer) -> None:
    await trainer.dataset_groups("default")
    await trainer.happened("u1", "i1")
    await put(trainer, "0 * * * *")
    workers = [worker(trainer) for _ in range(6)]

    for hour in range(1, 4):
        now = MIDNIGHT + timedelta(hours=hour, seconds=3)
        requested = await asyncio.gather(*(each.request_due(now) for each in workers))
        assert [len(runs) for runs in requested].count(1) == 1
        (run,) = [run for runs in requested for run in runs]
        await trainer.runs.start(run)
        await trainer.runs.fail(run, "no engine", f"failed-{run}", now)
        (schedule,) = await trainer.schedules.of_tenant("default")
        due = MIDNIGHT + timedelta(hours=hour)
        assert (schedule["last_due"], schedule["last_run"]) == (due, run)
        assert schedule["next_due"] == due + timedelta(hours=1)
    assert await reasons(trainer) == [["schedule often"]] * 3


async def test_a_worker_that_dies_between_the_run_and_the_next_time_leaves_neither(trainer: Trainer) -> None:
    await trainer.dataset_groups("default")
    await trainer.happened("u1", "i1")
    await put(trainer, "0 * * * *")
    now = MIDNIGHT + timedelta(hours=1)
    # The statement between both fails, as it does when its process is killed.
    await trainer.administrator.execute(
        "ALTER TABLE trainer.schedules ADD CONSTRAINT alive CHECK (last_due IS NULL)"
    )
    with pytest.raises(Exception, match="alive"):
        await worker(trainer).request_due(now)
    assert await reasons(trainer) == []

    await trainer.administrator.execute("ALTER TABLE trainer.schedules DROP CONSTRAINT alive")
    assert len(await worker(trainer).request_due(now)) == 1
    assert await worker(trainer).request_due(now) == []


async def test_times_that_passed_without_a_worker_are_one_run_if_the_last_is_not_too_old(
    trainer: Trainer,
) -> None:
    await trainer.dataset_groups("default")
    await trainer.happened("u1", "i1")
    await put(trainer, "*/5 * * * *")
    await put(trainer, "0 1 3 * *", "monthly")

    (run,) = await worker(trainer).request_due(MIDNIGHT + timedelta(days=3, minutes=7))

    schedules = {row["name"]: row for row in await trainer.schedules.of_tenant("default")}
    assert (schedules["often"]["last_run"], schedules["monthly"]["last_run"]) == (run, None)
    assert schedules["often"]["last_due"] == MIDNIGHT + timedelta(days=3, minutes=5)
    assert schedules["monthly"]["next_due"] == datetime(2026, 2, 3, 1, tzinfo=UTC)


async def test_the_default_schedule_follows_the_settings_until_a_tenant_puts_its_own(
    trainer: Trainer,
) -> None:
    await trainer.dataset_groups("default", "empty")
    await trainer.happened("u1", "i1")
    await worker(trainer, "0 2 * * *").request_due(MIDNIGHT)
    assert [row["next_due"].hour for row in await trainer.schedules.of_tenant("empty")] == [2]

    # Changed settings count from the next look on; only a tenant with interactions gets a run.
    assert await worker(trainer, "0 4 * * *").request_due(MIDNIGHT + timedelta(hours=3)) == []
    assert len(await worker(trainer, "0 4 * * *").request_due(MIDNIGHT + timedelta(hours=4))) == 1
    assert (await reasons(trainer), await reasons(trainer, "empty")) == ([["schedule default"]], [])

    assert await trainer.schedules.delete("default", "default") is False
    await put(trainer, "0 5 * * *", "default", enabled=False)
    await worker(trainer, "0 6 * * *").request_due(MIDNIGHT + timedelta(hours=7))
    (own,) = await trainer.schedules.of_tenant("default")
    assert (own["cron"], own["enabled"], own["from_settings"]) == ("0 5 * * *", False, False)
    assert await trainer.schedules.delete("default", "default")
    await worker(trainer, "0 6 * * *").request_due(MIDNIGHT + timedelta(hours=7))
    assert [row["cron"] for row in await trainer.schedules.of_tenant("default")] == ["0 6 * * *"]
    await worker(trainer, "").request_due(MIDNIGHT + timedelta(hours=8))
    assert await trainer.schedules.of_tenant("default") == []


async def test_schedules_of_a_tenant_that_was_deleted_go_with_it(trainer: Trainer) -> None:
    await put(trainer, "0 * * * *")
    assert await worker(trainer).request_due(MIDNIGHT + timedelta(hours=1)) == []
    assert await trainer.schedules.of_tenant("default") == []


async def test_a_schedule_is_put_listed_changed_and_deleted(http: httpx.AsyncClient, tenant: Tenant) -> None:
    admin, reader = {"x-api-key": tenant.admin}, {"x-api-key": tenant.read}
    nightly = {"cron": "30 1 * * *", "timezone": "Europe/Berlin", "kind": "vip", "vip_share": 0.05}
    added = await http.put("/v1/schedules/nightly", json=nightly, headers=admin)
    assert added.status_code == 201, added.text
    assert (await http.put("/v1/schedules/nightly", json=nightly, headers=admin)).json() == added.json()
    assert added.json() | nightly == added.json()
    due = datetime.fromisoformat(added.json()["next_due"])
    assert due > datetime.now(UTC)

    changed = await http.put("/v1/schedules/nightly", json={**nightly, "enabled": False}, headers=admin)
    assert (changed.status_code, changed.json()["next_due"]) == (200, None)
    listed = (await http.get("/v1/schedules", headers=reader)).json()["schedules"]
    assert listed == [changed.json()] == [(await http.get("/v1/schedules/nightly", headers=reader)).json()]
    assert (await http.put("/v1/schedules/nightly", json=nightly, headers=reader)).status_code == 403
    assert (await http.delete("/v1/schedules/nightly", headers=admin)).status_code == 204
    assert (await http.delete("/v1/schedules/nightly", headers=admin)).status_code == 404

    for wrong in ({"vip_share": 0}, {"vip_share": 1.01}, {"kind": "weekly"}, {"max_minutes": -1}):
        assert (
            await http.put("/v1/schedules/nightly", json=nightly | wrong, headers=admin)
        ).status_code == 400
    for wrong in ({"cron": "0 25 * * *"}, {"cron": "0 2 * * *", "timezone": "Mars"}):
        refused = await http.put("/v1/schedules/nightly", json=wrong, headers=admin)
        assert (refused.status_code, refused.json()["error"]) == (400, "InvalidSchedule"), refused.text
    for number in range(MAX_SCHEDULES + 1):
        answer = await http.put(f"/v1/schedules/n{number}", json=nightly, headers=admin)
    assert (answer.status_code, answer.json()["error"]) == (409, "TooManySchedules")
