"""The periodic measurement of served lists, and the gauges that show its results."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby

import structlog

from services.loader import metrics
from services.loader.domain import ListQuality
from services.loader.store import Quality, UnmeasuredLists

log = structlog.get_logger()

FIGURES = {
    metrics.CATALOGUE_SHARE: "catalogue_share",
    metrics.GINI: "gini",
    metrics.POPULARITY_LIFT: "popularity_lift",
    metrics.CHANGED_SHARE: "changed_share",
    metrics.RANK_OVERLAP: "rank_overlap",
}


@dataclass(frozen=True, slots=True)
class QualityMeasurement:
    """Measures each generation once after its load, and coverage periodically; one process at a time does."""

    quality: Quality
    coverage_seconds: float

    async def run(self) -> None:
        """Measure what is due; then every process shows the newest results."""
        async with self.quality.turn() as may_measure:
            if may_measure:
                for _, recipes in groupby(await self.quality.unmeasured(), lambda each: each.generation):
                    await self._measure([*recipes])
                await self.quality.measure_coverage(self.coverage_seconds)
        await self._show()

    async def _measure(self, recipes: Sequence[UnmeasuredLists]) -> None:
        """Measure the lists of a generation by recipe."""
        tenant = recipes[0].tenant
        catalogue = await self.quality.catalogue(tenant)
        popularity = await self.quality.popularity(tenant)
        for lists in recipes:
            statistics = await self.quality.statistics(lists)
            await self.quality.store(lists, ListQuality.of(statistics, catalogue, popularity))
        log.info("loader.lists_measured", tenant=tenant, generation=recipes[0].generation)

    async def _show(self) -> None:
        served, coverage = await self.quality.served(), await self.quality.newest_coverage()
        # Nothing is awaited from here on, so that no scrape sees a part.
        for gauge in (metrics.RUN_STARTED, metrics.COVERAGE, *FIGURES):
            gauge.clear()
        for row in served:
            labels = row["tenant"], row["recipe"]
            metrics.RUN_STARTED.labels(*labels).set(row["run_started_at"].timestamp())
            for gauge, figure in FIGURES.items():
                if row[figure] is not None:
                    gauge.labels(*labels).set(row[figure])
        for row in coverage:
            if row["share"] is not None:
                metrics.COVERAGE.labels(row["tenant"], row["kind"]).set(row["share"])
