"""At any time a tenant has one running run and one queued run at the most."""

from __future__ import annotations

import pytest

from shared.events import BatchCompleted
from tests.integration.trainer.conftest import NOON, Trainer


def completed(run: int) -> BatchCompleted:
    return BatchCompleted(
        event_id=f"done-{run}",
        tenant="default",
        occurred_at=NOON,
        run=run,
        bucket="endcap-data",
        manifest="m",
        recipes=("popularity",),
        started_at=NOON,
    )


async def jobs(trainer: Trainer) -> list[str]:
    return [row["key"] for row in await trainer.database.fetch("SELECT key FROM jobs ORDER BY id")]


async def said(trainer: Trainer) -> list[tuple[str, int]]:
    rows = await trainer.database.fetch("SELECT type, payload FROM outbox ORDER BY seq")
    return [(row["type"], row["payload"]["run"]) for row in rows]


async def test_requests_join_the_run_that_is_queued(trainer: Trainer) -> None:
    first = await trainer.runs.request("default", "asked for by hand")
    second = await trainer.runs.request("default", "import", import_id="orders-1", event_id="a")
    third = await trainer.runs.request("default", "import", import_id="orders-2", event_id="b")

    assert (first.joined, second.joined, third.joined) == (False, True, True)
    assert first.run == second.run == third.run
    run = await trainer.runs.start(first.run)
    assert (run.status, run.imports) == ("running", ("orders-1", "orders-2"))
    (listed,) = await trainer.runs.list_newest("default")
    assert listed["reasons"] == ["asked for by hand", "import"]
    assert [step["status"] for step in listed["steps"]] == ["pending"] * 8


async def test_an_event_that_comes_again_asks_for_nothing(trainer: Trainer) -> None:
    asked = await trainer.runs.request("default", "import", event_id="a")
    run = await trainer.runs.start(asked.run)
    await trainer.runs.complete(run, completed(run.run))

    again = await trainer.runs.request("default", "import", event_id="a")

    assert again.run == asked.run
    assert len(await trainer.runs.list_newest("default")) == 1


async def test_a_run_waits_until_the_one_before_it_has_ended(trainer: Trainer) -> None:
    first = (await trainer.runs.request("default", "one")).run
    await trainer.runs.start(first)
    second = (await trainer.runs.request("default", "two")).run
    assert second != first
    assert await jobs(trainer) == [str(first)]
    assert (await trainer.runs.start(second)).status == "queued"

    await trainer.runs.complete(await trainer.runs.start(first), completed(first))

    assert await jobs(trainer) == [str(first), str(second)]
    assert (await trainer.runs.start(second)).status == "running"


async def test_tenants_do_not_wait_for_each_other(trainer: Trainer) -> None:
    runs = [(await trainer.runs.request(tenant, "r")).run for tenant in ("default", "other")]

    assert runs[1] == runs[0] + 1
    assert await jobs(trainer) == [str(run) for run in runs]
    assert await trainer.runs.list_newest("other", run=runs[0]) == []


async def test_an_ended_run_is_said_once(trainer: Trainer) -> None:
    run = await trainer.runs.start((await trainer.runs.request("default", "r")).run)
    await trainer.runs.complete(run, completed(run.run))
    await trainer.runs.complete(run, completed(run.run))
    await trainer.runs.fail(run.run, "too late", "e", NOON)

    (listed,) = await trainer.runs.list_newest("default")
    assert (listed["status"], listed["error"]) == ("completed", None)
    assert [run for _, run in await said(trainer)] == [run.run]


async def test_a_failed_run_says_at_which_step_and_lets_the_next_one_start(trainer: Trainer) -> None:
    run = await trainer.runs.start((await trainer.runs.request("default", "r")).run)
    following = (await trainer.runs.request("default", "next")).run
    await trainer.runs.start_step(run.run, "train")
    await trainer.runs.fail(run.run, "the engine says no", "e", NOON)

    payload = await trainer.database.fetchval("SELECT payload FROM outbox")
    assert (payload["step"], payload["reason"]) == ("train", "the engine says no")
    assert await jobs(trainer) == [str(run.run), str(following)]


async def test_what_a_step_keeps_is_there_for_another_attempt(trainer: Trainer) -> None:
    run = (await trainer.runs.request("default", "r")).run
    await trainer.runs.start(run)
    began = await trainer.runs.start_step(run, "train")
    await trainer.runs.report_step(run, "train", 0.5, {"a": 1})
    await trainer.runs.report_step(run, "train", 0.6, {"b": 2})

    assert await trainer.runs.start_step(run, "train") == began
    assert (await trainer.runs.steps(run))["train"].detail == {"a": 1, "b": 2}


@pytest.mark.parametrize("keep", [1, 2])
async def test_the_files_of_old_runs_are_to_go(trainer: Trainer, keep: int) -> None:
    ended = []
    for _ in range(3):
        run = await trainer.runs.start((await trainer.runs.request("default", "r")).run)
        await trainer.runs.complete(run, completed(run.run))
        ended.append(run.run)

    assert await trainer.runs.with_old_files(keep) == [(run, "default") for run in ended[: 3 - keep]]
    await trainer.runs.mark_files_removed(ended[0])
    assert (ended[0], "default") not in await trainer.runs.with_old_files(keep)
