"""The routes of results: metrics with intervals that are valid at any look, and their course."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

from fastapi import APIRouter, Depends, Query

from services.router.api.experiments import NOT_FOUND, Name, Version
from services.router.domain.interactions import Interactions
from services.router.domain.results import DecisionRecord, Results
from services.router.domain.series import Series
from services.router.store.results import PRE_DAYS, RELATIVE_EFFECT
from shared.auth import Authenticator, Principal
from shared.errors import ApiError
from shared.experiments import Slug
from shared.http.runtime import ErrorBody

if TYPE_CHECKING:
    from services.router.store.experiments import Experiments
    from services.router.store.results import StoredResults

MOST_OTHERS = 20
"""Other experiments that are compared. Arbitrary: each is a query."""

_UNKNOWN_METRIC: dict[int | str, dict[str, Any]] = {
    400: {"model": ErrorBody, "description": "The experiment has no such metric."}
}


class ResultRoutes:
    """The routes of results."""

    def __init__(
        self, experiments: Experiments, results: StoredResults, authenticator: Authenticator
    ) -> None:
        self._experiments = experiments
        self._results = results
        self._admin = Depends(authenticator.require("admin"))

    def router(self) -> APIRouter:
        """Return all routes."""
        router = APIRouter(prefix="/v1/experiments/{name}", tags=["Experiments"])
        admin = self._admin

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
            ] = RELATIVE_EFFECT,
            fresh: Annotated[  # noqa: FBT002 - a query parameter
                bool,
                Query(description="count now, also if the monitor has counted a large phase minutes ago"),
            ] = False,
            principal: Principal = admin,
        ) -> Results:
            """Return the results of the phase of a version; the first variant is the control."""
            stored = await self._experiments.get(principal.own_tenant, name, version)
            return await self._results.of(stored, pre_days=pre_days, relative_effect=effect, fresh=fresh)

        @router.get("/series", operation_id="experiment_series", responses=NOT_FOUND | _UNKNOWN_METRIC)
        async def series(
            name: Name,
            version: Version = None,
            metric: Annotated[Slug | None, Query(description="by default the first metric")] = None,
            principal: Principal = admin,
        ) -> Series:
            """Return a metric at the end of each day of the phase, with intervals that hold at any look.

            Raise ApiError (400) for an unknown metric.
            """
            stored = await self._experiments.get(principal.own_tenant, name, version)
            names = [each.name for each in stored.measured]
            chosen = metric or names[0]
            if chosen not in names:
                raise ApiError(
                    400, "UnknownMetric", f"{name} has no metric {chosen!r}, only {', '.join(names)}."
                )
            days = await self._results.series(stored, chosen)
            return Series(name=name, phase=stored.phase, metric=chosen, days=days)

        @router.get("/interactions", operation_id="experiment_interactions", responses=NOT_FOUND)
        async def interactions(
            name: Name, version: Version = None, principal: Principal = admin
        ) -> Interactions:
            """Return whether experiments that run at the same time depend on each other."""
            stored = await self._experiments.get(principal.own_tenant, name, version)
            beside = await self._experiments.live_beside(stored)
            return await self._results.interactions(stored, beside[:MOST_OTHERS])

        @router.get("/decision", operation_id="experiment_decision", responses=NOT_FOUND)
        async def decision(
            name: Name, version: Version = None, principal: Principal = admin
        ) -> DecisionRecord:
            """Return a decision with the results that were known when it was made.

            Raise ApiError (404) if there is none.
            """
            tenant = principal.own_tenant
            if version is None:
                stored = await self._experiments.current(tenant, name)
            else:
                stored = await self._experiments.get(tenant, name, version)
            if stored.decision is None:
                raise ApiError(404, "NotDecided", f"Version {stored.version} of {name} is {stored.status}.")
            known = await self._results.decided(tenant, name, stored.version)
            return DecisionRecord(
                name=name, version=stored.version, **stored.decision.model_dump(), results=known
            )

        return router
