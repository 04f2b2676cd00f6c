"""Windows of switchbacks: who was exposed in them, and what they amount to."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import TYPE_CHECKING

from services.router.domain.metric_sums import WindowSums
from services.router.store import SQL
from services.router.store.metric_sums import BOT_EVENTS, MAX_CONCURRENT
from services.router.store.outcomes import MAX_SESSION_EVENTS
from shared.events.values import LARGEST
from shared.experiments import Switchback

if TYPE_CHECKING:
    from services.router.domain.experiments import StoredVersion
    from services.router.domain.metrics import Metric
    from services.router.settings import Settings
    from shared.events import VariantExposed
    from shared.postgres import Database

MINUTE_SECONDS = 60


class WindowStore:
    """Writes exposures in windows, and reads sums; writing one again changes nothing."""

    def __init__(self, database: Database, settings: Settings) -> None:
        self._database = database
        self._reads = database.for_requests(settings.results_seconds)
        self._semaphore = asyncio.Semaphore(MAX_CONCURRENT)

    async def record(self, events: Sequence[VariantExposed]) -> None:
        """Record exposures that name a window, and the logins of their units."""
        first: dict[tuple[str, str, int, int, str], VariantExposed] = {}
        for event in events:
            assert event.window is not None
            key = (event.tenant, event.experiment, event.experiment_version, event.window, event.unit)
            if key not in first or event.occurred_at < first[key].occurred_at:
                first[key] = event
        if not first:
            return
        tenants, experiments, versions, windows, units = map(list, zip(*sorted(first), strict=True))
        ordered = [first[key] for key in sorted(first)]
        await self._database.execute(
            *SQL.record_window_exposures(
                tenants=tenants,
                experiments=experiments,
                versions=versions,
                windows=windows,
                units=units,
                variants=[event.variant for event in ordered],
                times=[event.occurred_at for event in ordered],
            )
        )
        await self._database.execute(
            *SQL.record_logins_of_exposed(tenants=tenants, units=units, max_events=MAX_SESSION_EVENTS)
        )

    async def sums(self, version: StoredVersion, metrics: Sequence[Metric]) -> WindowSums:
        """Return the sums of the windows of a version's phase. Raise TimeoutError if it takes too long."""
        assert isinstance(version.design, Switchback)
        sides = [(number, "y", each.event, each.measure) for number, each in enumerate(metrics, start=1)]
        sides += [
            (number, "x", each.per.event, each.per.measure)
            for number, each in enumerate(metrics, start=1)
            if each.per is not None
        ]
        numbers, names, events, measures = map(list, zip(*sides, strict=True))
        async with self._semaphore:
            phase = await self._reads.fetchrow(
                *SQL.versions_of_phase(tenant=version.tenant, name=version.name, phase=version.phase)
            )
            assert phase is not None
            versions = phase["versions"] or [version.version]
            rows = await self._reads.fetch(
                *SQL.window_sums(
                    tenant=version.tenant,
                    name=version.name,
                    versions=versions,
                    until=version.disabled_at,
                    window_seconds=float(version.design.window_minutes * MINUTE_SECONDS),
                    burn_in_seconds=float(version.design.burn_in_minutes * MINUTE_SECONDS),
                    bot_events=BOT_EVENTS,
                    largest=LARGEST,
                    numbers=numbers,
                    sides=names,
                    events=events,
                    measures=measures,
                )
            )
        return WindowSums(
            versions,
            phase["began_at"],
            {row["win"]: (row["variant"], row["amount"]) for row in rows if row["number"] == 0},
            {(row["number"] - 1, row["side"], row["win"]): row["amount"] for row in rows if row["number"]},
        )
