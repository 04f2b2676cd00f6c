"""The job of a run: its steps in their order, continued where an earlier attempt was interrupted."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from time import monotonic
from typing import Any, Literal

import structlog

from services.trainer import metrics
from services.trainer.domain import Run
from services.trainer.store import Runs, StepState
from shared.errors import Transient
from shared.events import BatchCompleted, derived_id
from shared.jobs import Job
from shared.observability import bound
from shared.postgres import UNAVAILABLE

log = structlog.get_logger()


@dataclass
class StepContext:
    """The state of the current step; `detail` is what this or an earlier attempt has stored."""

    run: Run
    name: str
    started_at: datetime
    details: Mapping[str, dict[str, Any]]
    runs: Runs
    progress: float = 0.0
    detail: dict[str, Any] = field(init=False)

    def __post_init__(self) -> None:
        """Load the stored detail."""
        self.detail = dict(self.details[self.name])

    async def report(self, progress: float | None = None, **detail: Any) -> None:
        """Store the progress of the step (0 to 1), and details that a retry must not compute again."""
        if progress is not None:
            self.progress = progress
        self.detail |= detail
        await self.runs.report_step(self.run.run, self.name, self.progress, detail)

    def of(self, step: str) -> dict[str, Any]:
        """Return the detail of an earlier step."""
        return self.details[step]


Step = Callable[[StepContext], Awaitable[bool]]
"""Does a step, and returns False if there was nothing to do."""

CANCEL_SECONDS = 1.0
"""Interval of looking whether the run was cancelled; arbitrary."""


@dataclass(frozen=True, slots=True)
class RunJob:
    """Runs the steps of a run. `stop_training` stops the trainings that a cancelled run has started.

    A run without a budget of its own is stopped after `max_minutes` since its start, over all attempts.
    """

    runs: Runs
    steps: Mapping[str, Step]
    bucket: str
    stop_training: Callable[[Run, Mapping[str, Any]], Awaitable[None]]
    max_minutes: float | None = None

    async def run(self, job: Job) -> None:
        """Run the steps that are not done, and complete the run; Transient while another run is running.

        Stop within a second or two when the run is cancelled, and stop its trainings.
        """
        run = await self.runs.start(job.payload["run"])
        if run.status in {"completed", "failed", "cancelled", "timed_out"}:
            return
        if run.status == "queued":
            raise Transient(f"another run of tenant {run.tenant} is running")
        with bound(tenant=run.tenant, run=str(run.run)):
            work = asyncio.create_task(self._steps(run))
            watch = asyncio.create_task(self._until_stopped(run))
            try:
                await asyncio.wait({work, watch}, return_when=asyncio.FIRST_COMPLETED)
                if not work.done() or (work.exception() and await self.runs.is_stopped(run.run)):
                    await self._abandon(run, work)
                    return
                await work
            finally:
                for task in (work, watch):
                    task.cancel()
                await asyncio.gather(work, watch, return_exceptions=True)

    async def _steps(self, run: Run) -> None:
        states = await self.runs.steps(run.run)
        for name, state in states.items():
            if state.status not in {"done", "skipped"}:
                await self._step(run, name, states)
        await self._complete(run, states)

    async def _until_stopped(self, run: Run) -> None:
        """Return when the run was cancelled, or exceeds its budget; Postgres may be away for a time."""
        minutes = run.options.get("max_minutes", self.max_minutes)
        while True:
            await asyncio.sleep(CANCEL_SECONDS)
            try:
                if await self.runs.is_stopped(run.run):
                    return
                if minutes is not None and datetime.now(UTC) - _begin(run) > timedelta(minutes=minutes):
                    await self.runs.time_out(run, f"it exceeded its budget of {minutes:g} minutes")
                    return
            except (Transient, *UNAVAILABLE) as error:
                log.warning("trainer.cancellation_unknown", error=repr(error))

    async def _abandon(self, run: Run, work: asyncio.Task[None]) -> None:
        """End the work of a stopped run, and the trainings that it has started."""
        work.cancel()
        await asyncio.gather(work, return_exceptions=True)
        states = await self.runs.steps(run.run)
        await self.stop_training(run, states["train"].detail)
        status = (await self.runs.start(run.run)).status
        metrics.RUNS.labels(status, run.kind).inc()
        log.info("trainer.run_stopped", status=status)

    async def failed(self, job: Job, sentence: str) -> None:
        """Fail the run, and publish the reason."""
        number = int(job.payload["run"])
        event_id = derived_id("batch", number, "failed")
        run = await self.runs.fail(number, sentence, event_id, datetime.now(UTC))
        metrics.RUNS.labels("failed", run.kind).inc()

    async def _step(self, run: Run, name: str, states: dict[str, StepState]) -> None:
        started_at, started = await self.runs.start_step(run.run, name), monotonic()
        details = {step: state.detail for step, state in states.items()}
        context = StepContext(run, name, started_at, details, self.runs)
        status: Literal["done", "skipped"] = "done" if await self.steps[name](context) else "skipped"
        await self.runs.end_step(run.run, name, status)
        states[name] = StepState(name, status, context.detail)
        seconds = monotonic() - started
        metrics.STEP_SECONDS.labels(name).observe(seconds)
        log.info("trainer.step_ended", step=name, status=status, seconds=round(seconds, 2))

    async def _complete(self, run: Run, states: Mapping[str, StepState]) -> None:
        written = states["manifest"].detail
        batch = BatchCompleted(
            event_id=derived_id("batch", run.run, "completed"),
            tenant=run.tenant,
            occurred_at=datetime.fromisoformat(written["completed_at"]),
            run=run.run,
            bucket=self.bucket,
            manifest=written["key"],
            recipes=tuple(written["recipes"]),
            started_at=_begin(run),
            kind=run.kind,
            base=None if run.kind == "full" else states["snapshot"].detail["base"],
        )
        await self.runs.complete(run, batch if batch.recipes else None)
        metrics.RUNS.labels("completed", run.kind).inc()
        log.info("trainer.run_completed", recipes=written["recipes"])


def _begin(run: Run) -> datetime:
    return run.started_at or run.created_at
