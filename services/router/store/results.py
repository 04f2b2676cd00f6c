"""Results of experiments: counted now, or as the monitor has counted them."""

from __future__ import annotations

import asyncio
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final, NamedTuple

from services.router.domain.counted_sums import CountedSums
from services.router.domain.interactions import Interactions, interactions_of
from services.router.domain.late_analysis import (
    preferences_of,
    switchback_results,
    with_periods,
)
from services.router.domain.results import Results
from services.router.domain.shadows import shadow_results
from services.router.store import SQL

if TYPE_CHECKING:
    from collections.abc import Sequence

    from services.router.domain.experiments import StoredVersion
    from services.router.domain.series import SeriesPoint
    from services.router.store.bandit_sums import BanditStore
    from services.router.store.interleaved_answers import InterleavedAnswers
    from services.router.store.metric_sums import MetricStore
    from services.router.store.shadows import ShadowStore
    from services.router.store.windows import WindowStore
    from shared.postgres import Database

PRE_DAYS: Final = 14
"""Days before the exposure whose events adjust the metrics by default, as in GrowthBook."""
RELATIVE_EFFECT: Final = 0.1
WAITING_SECONDS: Final = 2.0
"""A phase that took longer to count is answered from the last count. Arbitrary."""


class DesignStores(NamedTuple):
    """Stores of designs that give a unit several variants, or weights that change."""

    interleaved: InterleavedAnswers
    bandits: BanditStore
    windows: WindowStore
    shadows: ShadowStore


class StoredResults:
    """Counts phases, and stores and reads the counts."""

    def __init__(self, database: Database, metrics: MetricStore, designs: DesignStores) -> None:
        self._database = database
        self._metrics = metrics
        self._designs = designs

    async def of(
        self,
        version: StoredVersion,
        *,
        pre_days: int = PRE_DAYS,
        relative_effect: float = RELATIVE_EFFECT,
        fresh: bool = False,
    ) -> Results:
        """Return the results of a version's phase.

        They are counted now, unless that would take seconds and the monitor has counted it already; `fresh`
        counts in any case. Raise TimeoutError if counting takes too long.
        """
        now = version.stopped_at or datetime.now(UTC)
        if version.is_shadow:
            return shadow_results(version, await self._designs.shadows.results(version))
        if version.is_interleaved:
            return await asyncio.to_thread(
                preferences_of, version, await self._designs.interleaved.sums(version, version.measured)
            )
        if version.design.kind == "switchback":
            windows = await self._designs.windows.sums(version, version.measured)
            return await asyncio.to_thread(
                switchback_results, version, windows, relative_effect=relative_effect, now=now
            )
        results = await self._of_people(version, pre_days, relative_effect, now, fresh=fresh)
        return await self._with_periods(version, results)

    async def _with_periods(self, version: StoredVersion, results: Results) -> Results:
        """Return the results of a bandit with those of all periods; others as they are."""
        if version.design.kind != "bandit":
            return results
        periods = await self._designs.bandits.periods(version)
        return await asyncio.to_thread(with_periods, version, results, periods)

    async def _of_people(
        self, version: StoredVersion, pre_days: int, relative_effect: float, now: datetime, *, fresh: bool
    ) -> Results:
        stored = None if fresh else await self._newest(version, pre_days)
        if stored is None or stored.seconds <= WAITING_SECONDS:
            try:
                stored = await self._count(version, pre_days)
            except TimeoutError:
                if stored is None:
                    raise
        return await asyncio.to_thread(
            stored.results, version, pre_days=pre_days, relative_effect=relative_effect, now=now
        )

    async def count(self, version: StoredVersion) -> Results | None:
        """Count a phase and store the sums; return its results, or None while it has no people."""
        counted = await self._count(version, PRE_DAYS)
        if not counted.sums.people:
            return None
        results = await asyncio.to_thread(
            counted.results, version, pre_days=PRE_DAYS, relative_effect=RELATIVE_EFFECT
        )
        await self._database.execute(
            *SQL.store_sums(
                tenant=version.tenant,
                name=version.name,
                phase=version.phase,
                counted_at=counted.counted_at,
                seconds=counted.seconds,
                pre_days=PRE_DAYS,
                metrics=[metric.model_dump(mode="json") for metric in version.measured],
                sums=counted.document(results),
            )
        )
        return await self._with_periods(version, results)

    async def _count(self, version: StoredVersion, pre_days: int) -> CountedSums:
        """Count a phase now; raise TimeoutError if that takes too long."""
        counted_at, began, metrics = datetime.now(UTC), time.monotonic(), version.measured
        sums, triggered = await self._metrics.sums(version, metrics, pre_days), None
        if version.trigger_share is not None:
            triggered = await self._metrics.sums(version, metrics, pre_days, triggered=True)
        return CountedSums(counted_at, time.monotonic() - began, pre_days, metrics, sums, triggered)

    async def series(self, version: StoredVersion, metric: str) -> list[SeriesPoint]:
        """Return the course of a metric in the phase of a version, oldest day first."""
        rows = await self._database.fetch(
            *SQL.sums_of_days(tenant=version.tenant, name=version.name, phase=version.phase)
        )
        days = [CountedSums.of_row(row) for row in rows]
        return await asyncio.to_thread(_points, days, version, metric)

    async def interactions(self, version: StoredVersion, beside: Sequence[StoredVersion]) -> Interactions:
        """Test whether a version and experiments beside it disturb each other."""
        people = [(each, await self._metrics.people_of_both(version, each)) for each in beside]
        return await asyncio.to_thread(interactions_of, version, people)

    async def decided(self, tenant: str, name: str, version: int) -> Results | None:
        """Return the results that were known when a version was decided."""
        results = await self._database.fetchval(
            *SQL.decided_results(tenant=tenant, name=name, version=version)
        )
        return None if results is None else Results.model_validate(results)

    async def _newest(self, version: StoredVersion, pre_days: int) -> CountedSums | None:
        row = await self._database.fetchrow(
            *SQL.newest_sums(tenant=version.tenant, name=version.name, phase=version.phase)
        )
        stored = None if row is None else CountedSums.of_row(row)
        return stored if stored is not None and stored.answers(version, pre_days) else None


def _points(days: Sequence[CountedSums], version: StoredVersion, metric: str) -> list[SeriesPoint]:
    return [point for day in days if (point := day.point(version, metric)) is not None]
