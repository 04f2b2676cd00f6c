"""The runs of schedules: each time that is due is one run, whichever worker looks first."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import structlog

from services.trainer import metrics

if TYPE_CHECKING:
    from services.trainer.store import Schedules

INTERVAL_SECONDS = 5.0

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class ScheduledRuns:
    """Requests the runs that are due. `default` is the cron expression of the settings, which may be empty.

    Of the times that passed while no worker was running, the last one is made up for, up to `catch_up` later.
    """

    schedules: Schedules
    default: str
    catch_up: timedelta

    async def run(self) -> None:
        """Request the runs that are due now."""
        await self.request_due(datetime.now(UTC))

    async def request_due(self, now: datetime) -> list[int]:
        """Request the runs that are due at `now` and return their numbers."""
        await self.schedules.follow_settings(self.default, now)
        runs = []
        for tenant, name in await self.schedules.due(now):
            requested = await self.schedules.request_run(tenant, name, now, self.catch_up)
            if requested is not None:
                outcome, run = requested
                metrics.DUE_TIMES.labels(outcome).inc()
                log.info("trainer.schedule_due", tenant=tenant, schedule=name, outcome=outcome, run=run)
                runs += [] if run is None else [run]
        return runs
