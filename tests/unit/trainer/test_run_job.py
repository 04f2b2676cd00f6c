# ruff: noqa: ARG002 - what stands in for the real thing takes the same arguments
"""Runs and the wait, with everything outside replaced."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from services.trainer.domain import STEPS, Run
from services.trainer.store import StepState
from services.trainer.worker.import_wait import ENDED_AT
from services.trainer.worker.offset_barrier import OffsetBarrier
from services.trainer.worker.run_job import RunJob, StepContext
from shared.errors import Permanent, Transient
from shared.events import BatchCompleted
from shared.events.topics import Topic
from shared.jobs import Job

NOW = datetime(2026, 1, 2, 2, tzinfo=UTC)


class MemoryRuns:
    """One run in memory."""

    def __init__(self, *, imports: tuple[str, ...] = (), status: str = "running") -> None:
        self.run = Run(7, "default", status, imports, NOW, NOW)
        self.states = {name: StepState(name, "pending", {}) for name in STEPS}
        self.completed: list[BatchCompleted | None] = []
        self.reason = ""

    async def start(self, number: int) -> Run:
        return self.run

    async def steps(self, run: int) -> dict[str, StepState]:
        return dict(self.states)

    async def start_step(self, run: int, name: str) -> datetime:
        return NOW

    async def report_step(self, run: int, name: str, progress: float, detail: Mapping[str, Any]) -> None:
        kept = self.states[name].detail | dict(detail)
        self.states[name] = StepState(name, "running", kept)

    async def end_step(self, run: int, name: str, status: str) -> None:
        self.states[name] = StepState(name, status, self.states[name].detail)

    async def is_stopped(self, run: int) -> bool:
        return self.run.status in {"cancelled", "timed_out"}

    async def time_out(self, run: Run, reason: str) -> None:
        self.run = replace(run, status="timed_out")
        self.reason = reason

    async def complete(self, run: Run, batch: BatchCompleted | None) -> None:
        self.completed.append(batch)


def a_job() -> Job:
    return Job(1, "run", "7", {"run": 7}, 1, {}, "me", None)  # type: ignore[arg-type]


def a_run_job(runs: MemoryRuns, steps: dict[str, Any], stopped: list[Any] | None = None) -> RunJob:
    async def stop_training(run: Run, detail: Mapping[str, Any]) -> None:
        assert stopped is not None
        stopped.append(detail)

    return RunJob(runs, steps, "endcap-data", stop_training)  # type: ignore[arg-type]


def steps(done: list[str], *, breaking: str | None = None) -> dict[str, Any]:
    """Steps that say their name, and break once at one of them."""
    broken: list[str] = []

    def one(name: str) -> Any:
        async def step(context: StepContext) -> bool:
            done.append(name)
            if name == breaking and not broken:
                broken.append(name)
                raise Transient("the engine is away")
            if name == "manifest":
                await context.report(
                    1.0,
                    key="k",
                    recipes=["popularity"],
                    completed_at=NOW.isoformat(),
                    seen=sorted(context.details),
                )
            return name != "wait"

        return step

    return {name: one(name) for name in STEPS}


async def test_a_run_goes_on_with_the_step_at_which_it_was_cut_off() -> None:
    runs, done = MemoryRuns(), []
    running = a_run_job(runs, steps(done, breaking="train"))

    with pytest.raises(Transient):
        await running.run(a_job())
    await running.run(a_job())

    assert done == [
        "wait",
        "snapshot",
        "import",
        "train",
        "train",
        "campaign",
        "batch",
        "popularity",
        "manifest",
    ]
    assert runs.states["wait"].status == "skipped"
    (batch,) = runs.completed
    assert batch is not None
    assert (batch.run, batch.manifest, batch.recipes, batch.bucket) == (
        7,
        "k",
        ("popularity",),
        "endcap-data",
    )


@pytest.mark.parametrize("status", ["completed", "failed", "cancelled", "timed_out"])
async def test_a_run_that_has_ended_is_left_alone(status: str) -> None:
    runs, done = MemoryRuns(status=status), []
    await a_run_job(runs, steps(done)).run(a_job())

    assert (done, runs.completed) == ([], [])


async def test_a_cancelled_run_ends_in_the_middle_of_a_step_and_stops_its_trainings(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("services.trainer.worker.run_job.CANCEL_SECONDS", 0.001)
    runs, done, stopped = MemoryRuns(), [], []
    own = steps(done)

    async def train(context: StepContext) -> bool:
        await context.report(None, **{"similar-items": "the version"})
        runs.run = replace(runs.run, status="cancelled")
        await asyncio.Event().wait()
        return True

    await a_run_job(runs, own | {"train": train}, stopped).run(a_job())

    assert (done, stopped) == (["wait", "snapshot", "import"], [{"similar-items": "the version"}])
    assert (runs.states["train"].status, runs.completed) == ("running", [])


@pytest.mark.parametrize(
    ("own", "default"), [({"max_minutes": 30}, None), ({}, 30), ({"max_minutes": 30}, 90)]
)
async def test_a_run_beyond_its_budget_of_time_is_stopped(
    monkeypatch: pytest.MonkeyPatch, own: dict[str, float], default: float | None
) -> None:
    monkeypatch.setattr("services.trainer.worker.run_job.CANCEL_SECONDS", 0.001)
    runs, stopped = MemoryRuns(), []
    runs.run = replace(runs.run, started_at=datetime.now(UTC) - timedelta(minutes=31), options=own)

    async def train(context: StepContext) -> bool:
        await context.report(None, **{"similar-items": "the version"})
        await asyncio.Event().wait()
        return True

    job = replace(a_run_job(runs, steps([]) | {"train": train}, stopped), max_minutes=default)
    await job.run(a_job())

    assert (runs.run.status, runs.reason) == ("timed_out", "it exceeded its budget of 30 minutes")
    assert (stopped, runs.completed) == ([{"similar-items": "the version"}], [])


async def test_a_run_without_lists_is_completed_without_a_batch() -> None:
    runs = MemoryRuns()
    runs.run = replace(runs.run, kind="incremental")

    async def snapshot(context: StepContext) -> bool:
        await context.report(1.0, base=3)
        return True

    async def manifest(context: StepContext) -> bool:
        await context.report(1.0, key="k", recipes=[], completed_at=NOW.isoformat())
        return False

    await a_run_job(runs, steps([]) | {"snapshot": snapshot, "manifest": manifest}).run(a_job())
    assert runs.completed == [None]


def a_wait(runs: MemoryRuns, began: datetime) -> StepContext:
    details = {name: state.detail for name, state in runs.states.items()}
    return StepContext(runs.run, "wait", began, details, runs)  # type: ignore[arg-type]


class Offsets:
    """A group that handles one record at each look."""

    def __init__(self, **ends: int) -> None:
        self.end = {name.replace("_", "-"): end for name, end in ends.items()}
        self.done: dict[str, int] = {}
        self.looks: list[str] = []
        self.stuck = False

    async def ends(self, topic: Topic) -> Mapping[int, int]:
        return {0: self.end[topic.name]}

    async def committed(self, group: str, topic: Topic) -> Mapping[int, int]:
        self.looks.append(group)
        if not self.stuck:
            self.done[group] = self.done.get(group, 0) + 1
        return {0: self.done.get(group, 0)}


def waiting(offsets: Offsets) -> OffsetBarrier:
    return OffsetBarrier(offsets.ends, offsets.committed, timedelta(minutes=10))


async def test_a_run_without_an_import_waits_for_nothing() -> None:
    offsets = Offsets()
    assert not await waiting(offsets).wait(a_wait(MemoryRuns(), datetime.now(UTC)))
    assert offsets.looks == []


async def test_orders_are_waited_for_before_the_purchases_that_they_become() -> None:
    offsets = Offsets(orders_v1=2, interactions_v1=1)
    assert await waiting(offsets).wait(a_wait(MemoryRuns(imports=("i",)), datetime.now(UTC)))
    assert offsets.looks == ["tracker-orders", "tracker-orders", "tracker-store"]


async def test_later_traffic_does_not_move_the_goal() -> None:
    runs, offsets = MemoryRuns(imports=("i",)), Offsets(orders_v1=1, interactions_v1=1)
    await runs.report_step(7, "wait", 0, {"orders-v1": {"0": 1}})
    offsets.end["orders-v1"] = 10**6

    assert await waiting(offsets).wait(a_wait(runs, datetime.now(UTC)))


async def test_a_wait_of_ten_minutes_fails_the_run_with_a_sentence() -> None:
    offsets = Offsets(orders_v1=5, interactions_v1=1)
    offsets.stuck = True
    long_ago = datetime.now(UTC) - timedelta(minutes=11)

    with pytest.raises(
        Permanent, match="within 10 minutes: 5 records of orders-v1 were not handled by tracker-orders"
    ):
        await waiting(offsets).wait(a_wait(MemoryRuns(imports=("i",)), long_ago))


async def test_the_ten_minutes_begin_when_the_imports_of_executions_have_ended() -> None:
    runs, offsets = MemoryRuns(imports=("i",)), Offsets(orders_v1=2, interactions_v1=1)
    long_ago = datetime.now(UTC) - timedelta(minutes=90)
    await runs.report_step(7, "wait", 0, {ENDED_AT: datetime.now(UTC).isoformat()})

    assert await waiting(offsets).wait(a_wait(runs, long_ago))
