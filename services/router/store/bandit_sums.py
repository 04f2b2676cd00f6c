"""Read the rewards of a bandit's periods."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from services.router.domain.metric_sums import PeriodSums
from services.router.store import SQL
from services.router.store.metric_sums import BOT_EVENTS, MAX_CONCURRENT
from shared.events.values import LARGEST
from shared.experiments import Bandit

if TYPE_CHECKING:
    from services.router.domain.experiments import StoredVersion
    from services.router.settings import Settings
    from shared.postgres import Database

HOUR_SECONDS = 3_600


class BanditStore:
    """Reads the sums of all periods of a run."""

    def __init__(self, database: Database, settings: Settings) -> None:
        self._database = database.for_requests(settings.results_seconds)
        self._semaphore = asyncio.Semaphore(MAX_CONCURRENT)

    async def periods(self, version: StoredVersion) -> list[PeriodSums]:
        """Return the periods up to a version, oldest first. Raise TimeoutError if it takes too long."""
        assert isinstance(version.design, Bandit)
        reward = version.measured[0]
        async with self._semaphore:
            rows = await self._database.fetch(
                *SQL.bandit_sums(
                    tenant=version.tenant,
                    name=version.name,
                    version=version.version,
                    event=reward.event,
                    measure=reward.measure,
                    reward_seconds=version.design.reward_hours * HOUR_SECONDS,
                    bot_events=BOT_EVENTS,
                    largest=LARGEST,
                )
            )
        periods: dict[int, PeriodSums] = {}
        sums: dict[int, dict[str, tuple[float, float, float]]] = {}
        exposed: dict[int, dict[str, int]] = {}
        for row in rows:
            number = row["version"]
            if number not in periods:
                total = sum(variant["weight"] for variant in row["variants"])
                weights = {each["name"]: each["weight"] / total for each in row["variants"]}
                sums[number], exposed[number] = {}, {}
                periods[number] = PeriodSums(
                    number, row["started_at"], weights, sums[number], exposed[number], row["disabled"]
                )
            if row["variant"] is not None:
                exposed[number][row["variant"]] = row["exposed"]
                if row["people"]:
                    sums[number][row["variant"]] = row["people"], row["y"], row["yy"]
        return list(periods.values())
