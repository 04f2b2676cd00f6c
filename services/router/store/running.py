"""The experiments that matter now, in memory: read every few seconds, kept while Postgres is away."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import asyncpg
import structlog

from services.router.domain.experiments import Experiment
from services.router.metrics import RUNNING
from shared.postgres import UNAVAILABLE

if TYPE_CHECKING:
    from services.router.store.experiments import Experiments

log = structlog.get_logger()


class Running:
    """Finds the experiment of a surface without waiting. A part."""

    name = "experiments"

    def __init__(self, experiments: Experiments, seconds: float) -> None:
        """Read every `seconds`."""
        self._experiments = experiments
        self._seconds = seconds
        self._on: dict[tuple[str, str], Experiment] = {}
        self._of_tenant: dict[str, list[Experiment]] = {}
        self._read_at = datetime.min.replace(tzinfo=UTC)
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Begin to read."""
        self._task = asyncio.create_task(self._follow(), name="experiments")

    async def stop(self) -> None:
        """Stop reading."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait({self._task}, timeout=5)

    def alive(self) -> str | None:
        """Never stuck: each reading has its time."""
        return None

    def ready(self) -> str | None:
        """Ready from the start: without experiments everything is passed through."""
        return None

    def on(self, tenant: str, surface: str) -> Experiment | None:
        """What runs on a surface."""
        return self._on.get((tenant, surface))

    def of_tenant(self, tenant: str) -> Sequence[Experiment]:
        """Return a tenant's experiments that run, or were stopped within the last day."""
        return self._of_tenant.get(tenant, ())

    def counting(self, tenant: str, at: datetime) -> Sequence[Experiment]:
        """The experiments of a tenant that were running at a time."""
        return [one for one in self._of_tenant.get(tenant, ()) if one.was_running(at)]

    async def as_of(self, at: datetime) -> None:
        """Read again unless that was done after `at`: who counts must not miss an experiment's beginning."""
        if self._read_at < at:
            await self.refresh()

    async def refresh(self) -> None:
        """Read now: what was changed here must hold for the next request."""
        now = datetime.now(UTC)
        async with asyncio.timeout(5):
            relevant = await self._experiments.relevant()
        self._read_at = now
        self._on = {(one.tenant, one.surface): one for one in relevant if one.status == "running"}
        of_tenant: dict[str, list[Experiment]] = {}
        for one in relevant:
            of_tenant.setdefault(one.tenant, []).append(one)
        self._of_tenant = of_tenant
        RUNNING.set(len(self._on))

    async def _follow(self) -> None:
        while True:
            try:
                await self.refresh()
            except (*UNAVAILABLE, asyncpg.PostgresError) as error:
                log.warning("experiments.not_read", error=repr(error), kept=len(self._on))
            except Exception:
                log.exception("experiments.reading_failed")
            await asyncio.sleep(self._seconds)
