"""A run: its steps in their order, each from where an earlier attempt has left it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from time import monotonic
from typing import Any

import structlog

from services.trainer import metrics
from services.trainer.domain import Run
from services.trainer.store import Runs, StepState
from shared.errors import Transient
from shared.events import BatchCompleted, derived_id
from shared.jobs import Job
from shared.observability import bound

log = structlog.get_logger()


@dataclass
class Work:
    """The step at hand. `detail` is what it has kept, now or in an earlier attempt."""

    run: Run
    name: str
    began: datetime
    details: Mapping[str, dict[str, Any]]
    runs: Runs
    progress: float = 0.0
    detail: dict[str, Any] = field(init=False)

    def __post_init__(self) -> None:
        """Take up what was kept."""
        self.detail = dict(self.details[self.name])

    async def report(self, progress: float | None = None, **detail: Any) -> None:
        """Show how far the step is, and keep what must not be done twice."""
        if progress is not None:
            self.progress = progress
        self.detail |= detail
        await self.runs.report_step(self.run.run, self.name, self.progress, detail)

    def of(self, step: str) -> dict[str, Any]:
        """What an earlier step has kept."""
        return self.details[step]


Step = Callable[[Work], Awaitable[bool]]
"""Does one step; False when there was nothing to do."""


@dataclass(frozen=True, slots=True)
class Running:
    """Does runs."""

    runs: Runs
    steps: Mapping[str, Step]
    bucket: str

    async def run(self, job: Job) -> None:
        """Bring a run to its end, from wherever it is."""
        run = await self.runs.begin(job.payload["run"])
        if run.status in {"completed", "failed"}:
            return
        if run.status == "queued":
            raise Transient(f"another run of tenant {run.tenant} is running")
        with bound(tenant=run.tenant, run=str(run.run)):
            states = await self.runs.steps(run.run)
            for name, state in states.items():
                if state.status not in {"done", "skipped"}:
                    await self._step(run, name, states)
            await self._complete(run, states)

    async def failed(self, job: Job, sentence: str) -> None:
        """Say in the run, and to the loader, why it has ended."""
        run = int(job.payload["run"])
        event_id = derived_id("batch", run, "failed")
        await self.runs.fail(run, sentence, event_id, datetime.now(UTC))
        metrics.RUNS.labels("failed").inc()

    async def _step(self, run: Run, name: str, states: dict[str, StepState]) -> None:
        began, started = await self.runs.begin_step(run.run, name), monotonic()
        details = {step: state.detail for step, state in states.items()}
        work = Work(run, name, began, details, self.runs)
        did = await self.steps[name](work)
        status = "done" if did else "skipped"
        await self.runs.end_step(run.run, name, "done" if did else "skipped")
        states[name] = StepState(name, status, work.detail)
        seconds = monotonic() - started
        metrics.STEP_SECONDS.labels(name).observe(seconds)
        log.info("trainer.step_ended", step=name, status=status, seconds=round(seconds, 2))

    async def _complete(self, run: Run, states: Mapping[str, StepState]) -> None:
        written = states["manifest"].detail
        await self.runs.complete(
            run,
            BatchCompleted(
                event_id=derived_id("batch", run.run, "completed"),
                tenant=run.tenant,
                occurred_at=datetime.fromisoformat(written["completed_at"]),
                run=run.run,
                bucket=self.bucket,
                manifest=written["key"],
                recipes=tuple(written["recipes"]),
                started_at=run.started_at or run.created_at,
            ),
        )
        metrics.RUNS.labels("completed").inc()
        log.info("trainer.run_completed", recipes=written["recipes"])
