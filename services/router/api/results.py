"""The route of results: metrics with intervals that are valid at any look."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

from fastapi import APIRouter, Depends, Query

from services.router.api.experiments import NOT_FOUND, Name, Version
from services.router.domain.late_analysis import (
    bandit_result,
    preferences_of,
    results_of,
    switchback_results,
)
from services.router.domain.results import Results
from shared.auth import Authenticator, Principal

if TYPE_CHECKING:
    from services.router.store.bandit_sums import BanditStore
    from services.router.store.experiments import Experiments
    from services.router.store.interleaved_answers import InterleavedAnswers
    from services.router.store.metric_sums import MetricStore
    from services.router.store.windows import WindowStore

PRE_DAYS = 14
"""Days before the exposure whose events adjust the metrics by default, as in GrowthBook."""


class ResultRoutes:
    """The route of results."""

    def __init__(
        self,
        experiments: Experiments,
        metrics: MetricStore,
        interleaved: InterleavedAnswers,
        bandits: BanditStore,
        windows: WindowStore,
        authenticator: Authenticator,
    ) -> None:
        self._experiments = experiments
        self._metrics = metrics
        self._interleaved = interleaved
        self._bandits = bandits
        self._windows = windows
        self._admin = Depends(authenticator.require("admin"))

    def router(self) -> APIRouter:
        """Return the route."""
        router = APIRouter(prefix="/v1/experiments/{name}", tags=["Experiments"])

        @router.get("/results", operation_id="experiment_results", responses=NOT_FOUND)
        async def results(
            name: Name,
            version: Version = None,
            pre_days: Annotated[
                int,
                Query(ge=0, le=90, description="days before the exposure whose events adjust the metrics"),
            ] = PRE_DAYS,
            effect: Annotated[
                float, Query(gt=0, le=10, description="relative effect for which units are planned")
            ] = 0.1,
            principal: Principal = self._admin,
        ) -> Results:
            """Return the results of the phase of a version; the first variant is the control."""
            stored = await self._experiments.get(principal.own_tenant, name, version)
            if stored.is_interleaved:
                return await asyncio.to_thread(
                    preferences_of, stored, await self._interleaved.sums(stored, stored.measured)
                )
            now = stored.stopped_at or datetime.now(UTC)
            if stored.design.kind == "switchback":
                windows = await self._windows.sums(stored, stored.measured)
                return await asyncio.to_thread(
                    switchback_results, stored, windows, relative_effect=effect, now=now
                )
            sums = await self._metrics.sums(stored, stored.measured, pre_days)
            read = await asyncio.to_thread(
                results_of,
                stored,
                sums,
                pre_days=pre_days,
                relative_effect=effect,
                now=now,
            )
            if stored.design.kind == "bandit":
                periods = await self._bandits.periods(stored)
                read.bandit = await asyncio.to_thread(bandit_result, stored, periods)
            return read

        return router
