"""The running experiments in memory: read every few seconds, kept while Postgres is unavailable."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import asyncpg
import structlog

from services.router.metrics import RUNNING
from shared.postgres import UNAVAILABLE

if TYPE_CHECKING:
    from services.router.domain.experiments import StoredVersion
    from services.router.store.experiments import Experiments

READ_TIMEOUT_SECONDS = 5.0

log = structlog.get_logger()


class RunningExperiments:
    """Returns the experiments of a surface or a tenant from memory. A part."""

    name = "experiments"

    def __init__(self, experiments: Experiments, poll_seconds: float) -> None:
        """Read every `poll_seconds`."""
        self._experiments = experiments
        self._poll_seconds = poll_seconds
        self._by_surface: dict[tuple[str, str], list[StoredVersion]] = {}
        self._by_tenant: dict[str, list[StoredVersion]] = {}
        self._read_at = datetime.min.replace(tzinfo=UTC)
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Start to read."""
        self._task = asyncio.create_task(self._poll(), name="experiments")

    async def stop(self) -> None:
        """Stop reading."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait({self._task}, timeout=5)

    def alive(self) -> str | None:
        """Return None: each read has a time limit."""
        return None

    def ready(self) -> str | None:
        """Return None: without experiments requests are proxied unchanged."""
        return None

    def on_surface(self, tenant: str, surface: str) -> Sequence[StoredVersion]:
        """Return the experiments that run on a surface."""
        return self._by_surface.get((tenant, surface), ())

    def of_tenant(self, tenant: str) -> Sequence[StoredVersion]:
        """Return a tenant's experiments that are running, or were stopped within the last day."""
        return self._by_tenant.get(tenant, ())

    def running_at(self, tenant: str, at: datetime) -> Sequence[StoredVersion]:
        """Return the experiments of a tenant that were running at a time of the last day."""
        return [each for each in self._by_tenant.get(tenant, ()) if each.was_running(at)]

    async def read_after(self, at: datetime) -> None:
        """Read again unless the last read was after `at`: no start of an experiment before `at` is missed."""
        if self._read_at < at:
            await self.refresh()

    async def refresh(self) -> None:
        """Read now; raise TimeoutError after five seconds."""
        now = datetime.now(UTC)
        async with asyncio.timeout(READ_TIMEOUT_SECONDS):
            experiments = await self._experiments.running_or_recent()
        self._read_at = now
        by_surface: dict[tuple[str, str], list[StoredVersion]] = {}
        by_tenant: dict[str, list[StoredVersion]] = {}
        for each in experiments:
            by_tenant.setdefault(each.tenant, []).append(each)
            if each.status == "running":
                by_surface.setdefault((each.tenant, each.surface), []).append(each)
        self._by_surface, self._by_tenant = by_surface, by_tenant
        RUNNING.set(sum(map(len, by_surface.values())))

    async def _poll(self) -> None:
        while True:
            try:
                await self.refresh()
            except (*UNAVAILABLE, asyncpg.PostgresError) as error:
                log.warning("experiments.not_read", error=repr(error), kept=len(self._by_surface))
            except Exception:
                log.exception("experiments.read_failed")
            await asyncio.sleep(self._poll_seconds)
