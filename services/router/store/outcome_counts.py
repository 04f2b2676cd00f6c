"""Counts of exposed units and of their outcomes, by variant and event type."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from services.router.domain.experiments import Counts, Outcome
from services.router.store import SQL
from shared.events.values import LARGEST

if TYPE_CHECKING:
    from services.router.settings import Settings
    from shared.experiments import Experiment
    from shared.postgres import Database

MAX_CONCURRENT: Final = 2
"""Results that a process reads at the same time, so that they never take all connections of the pool."""


class OutcomeCounts:
    """Reads what the worker has recorded."""

    def __init__(self, database: Database, settings: Settings) -> None:
        self._database = database.for_requests(settings.results_seconds)
        self._semaphore = asyncio.Semaphore(MAX_CONCURRENT)

    async def of(self, version: Experiment) -> Counts:
        """Return the counts of a version so far; raise TimeoutError if reading them takes too long."""
        async with self._semaphore:
            return await self._read(version)

    async def _read(self, version: Experiment) -> Counts:
        parameters = {"tenant": version.tenant, "name": version.name, "version": version.version}
        units = await self._database.fetch(*SQL.units(**parameters))
        outcomes: dict[str, dict[str, Outcome]] = {}
        for row in await self._database.fetch(*SQL.results(largest=LARGEST, **parameters)):
            outcomes.setdefault(row["variant"], {})[row["event_type"]] = Outcome(
                events=row["events"],
                units=row["units"],
                value=row["value"],
                values_left_out=row["values_left_out"],
            )
        return Counts(
            units={row["variant"]: row["units"] for row in units},
            mixed=sum(row["mixed"] for row in units),
            crossed=await self._database.fetchval(*SQL.crossed(**parameters)),
            outcomes=outcomes,
        )
