"""Interleaved answers in Postgres, and the credits of the variants that picked their items."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import TYPE_CHECKING

from services.router.domain.metric_sums import Credits, InterleavedSums
from services.router.store import SQL
from services.router.store.metric_sums import BOT_EVENTS, MAX_CONCURRENT
from shared.events.values import LARGEST
from shared.experiments import Interleaving

if TYPE_CHECKING:
    from services.router.domain.experiments import StoredVersion
    from services.router.domain.metrics import Metric
    from services.router.settings import Settings
    from shared.events.servings import Serving
    from shared.postgres import Database

DAY_SECONDS = 86_400


class InterleavedAnswers:
    """Writes the answers, and reads credits; writing one again changes nothing."""

    def __init__(self, database: Database, settings: Settings) -> None:
        self._database = database
        self._reads = database.for_requests(settings.results_seconds)
        self._semaphore = asyncio.Semaphore(MAX_CONCURRENT)

    async def record(self, served: Sequence[tuple[str, Serving]]) -> None:
        """Record answers of tenants; one without a visitor or an experiment has nobody to credit."""
        rows = [
            (
                tenant,
                serving.experiment,
                serving.experiment_version or 1,
                serving.recommendation_id,
                serving.subject,
                serving.served_at,
                {"item_ids": serving.item_ids, "picked_by": serving.picked_by},
            )
            for tenant, serving in served
            if serving.experiment is not None and serving.subject
        ]
        if not rows:
            return
        tenants, experiments, versions, ids, units, times, picks = map(list, zip(*rows, strict=True))
        await self._database.execute(
            *SQL.record_interleaved(
                tenants=tenants,
                experiments=experiments,
                versions=versions,
                recommendation_ids=ids,
                units=units,
                times=times,
                picks=picks,
            )
        )

    async def sums(self, version: StoredVersion, metrics: Sequence[Metric]) -> InterleavedSums:
        """Return the credits of a version's phase. Raise TimeoutError if reading them takes too long."""
        assert isinstance(version.design, Interleaving)
        async with self._semaphore:
            phase = await self._reads.fetchrow(
                *SQL.versions_of_phase(tenant=version.tenant, name=version.name, phase=version.phase)
            )
            assert phase is not None
            rows = await self._reads.fetch(
                *SQL.credits(
                    tenant=version.tenant,
                    name=version.name,
                    versions=phase["versions"] or [version.version],
                    until=version.disabled_at,
                    window_seconds=version.design.window_days * DAY_SECONDS,
                    bot_events=BOT_EVENTS,
                    largest=LARGEST,
                    numbers=list(range(1, len(metrics) + 1)),
                    events=[metric.event for metric in metrics],
                    measures=[metric.measure for metric in metrics],
                )
            )
        everybody = next(row for row in rows if row["number"] == 0)
        credited: dict[int, list[Credits]] = {}
        for row in rows:
            if row["number"] > 0:
                credited.setdefault(row["number"] - 1, []).append((row["credits"], row["people"]))
        return InterleavedSums(
            phase["versions"] or [version.version],
            phase["began_at"],
            everybody["people"],
            everybody["credits"]["bots"],
            credited,
        )
