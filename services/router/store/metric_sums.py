"""Read the sums of metrics over people."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Final, NamedTuple

from services.router.domain.metric_sums import MetricSums, People
from services.router.store import SQL
from shared.events.values import LARGEST

if TYPE_CHECKING:
    from services.router.domain.experiments import StoredVersion
    from services.router.domain.metrics import Metric
    from services.router.settings import Settings
    from shared.postgres import Database

MAX_CONCURRENT: Final = 2
"""Results that a process reads at the same time, so that they never take all connections of the pool."""
BOT_EVENTS: Final = 500
"""Events on a day above which somebody is no person. Arbitrary: one every 20 seconds for three hours."""


class _Side(NamedTuple):
    number: int
    side: str
    event: str
    measure: str
    window_days: float | None
    recommended: bool
    quantile: float | None
    has_covariate: bool


class MetricStore:
    """Reads sums from the outcomes that the worker has recorded."""

    def __init__(self, database: Database, settings: Settings) -> None:
        self._database = database.for_requests(settings.results_seconds)
        self._semaphore = asyncio.Semaphore(MAX_CONCURRENT)

    async def sums(self, version: StoredVersion, metrics: Sequence[Metric], pre_days: int) -> MetricSums:
        """Return the sums of a version's phase, with covariates of the `pre_days` before the exposure.

        Raise TimeoutError if reading them takes too long.
        """
        async with self._semaphore:
            return await self._read(version, metrics, pre_days)

    async def _read(self, version: StoredVersion, metrics: Sequence[Metric], pre_days: int) -> MetricSums:
        phase = await self._database.fetchrow(
            *SQL.versions_of_phase(tenant=version.tenant, name=version.name, phase=version.phase)
        )
        assert phase is not None
        versions = phase["versions"] or [version.version]
        sides = list(_sides(metrics, has_covariate=pre_days > 0))
        numbers, names, events, measures, windows, recommended, quantiles, covariates = _columns(sides)
        rows = await self._database.fetch(
            *SQL.metric_sums(
                tenant=version.tenant,
                name=version.name,
                versions=versions,
                until=version.disabled_at,
                bot_events=BOT_EVENTS,
                pre_days=pre_days,
                largest=LARGEST,
                numbers=numbers,
                sides=names,
                events=events,
                measures=measures,
                window_days=windows,
                recommended=recommended,
                quantiles=quantiles,
                has_covariate=covariates,
            )
        )
        return MetricSums(
            versions,
            phase["began_at"],
            {
                row["variant"]: People(row["people"], row["crossed"], row["merged"], row["bots"])
                for row in rows
                if row["number"] == 0
            },
            {
                (row["number"] - 1, row["variant"]): (row["y"], row["yy"], row["x"], row["xx"], row["xy"])
                for row in rows
                if row["number"] > 0
            },
        )


def _sides(metrics: Sequence[Metric], *, has_covariate: bool) -> Iterator[_Side]:
    """Yield the amounts that a metric consists of."""
    for number, metric in enumerate(metrics, start=1):
        window, recommended = metric.window_days, metric.recommended_only
        covariate = has_covariate and metric.per is None
        yield _Side(
            number, "y", metric.event, metric.measure, window, recommended, metric.winsorize, covariate
        )
        if metric.per is not None:
            yield _Side(
                number,
                "x",
                metric.per.event,
                metric.per.measure,
                window,
                recommended,
                None,
                has_covariate=False,
            )


def _columns(sides: Iterable[_Side]) -> list[list[object]]:
    return [list(column) for column in zip(*sides, strict=True)]
