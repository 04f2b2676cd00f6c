"""The routes that change the state of an experiment, and its log."""

from __future__ import annotations

from collections.abc import Awaitable
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any

from fastapi import APIRouter, Depends, Query, Response

from services.router.api.etags import IfMatch, author, etag
from services.router.api.experiment_bodies import ChangeBody, DecisionBody, ExperimentBody, ForcedUnits
from services.router.api.experiments import CHANGED, NOT_FOUND, Name, body
from services.router.domain.experiments import Decision, StoredVersion
from shared.auth import Authenticator, Principal
from shared.errors import ApiError
from shared.experiments import VariantName
from shared.http.runtime import ErrorBody

if TYPE_CHECKING:
    from services.router.store.experiments import Experiments
    from services.router.store.running_experiments import RunningExperiments

_RESPONSES: dict[int | str, dict[str, Any]] = {
    **NOT_FOUND,
    **CHANGED,
    409: {
        "model": ErrorBody,
        "description": "The state does not allow it, or another experiment has the surface or the units.",
    },
}
_UNKNOWN_VARIANT: dict[int | str, dict[str, Any]] = {
    400: {"model": ErrorBody, "description": "The experiment has no such variant."}
}


class LifecycleRoutes:
    """Draft, running, paused, stopped, decided, archived; forced units and disabled variants."""

    def __init__(
        self, experiments: Experiments, running: RunningExperiments, authenticator: Authenticator
    ) -> None:
        self._experiments = experiments
        self._running = running
        self._admin = Depends(authenticator.require("admin"))

    def router(self) -> APIRouter:
        """Return all routes."""
        router = APIRouter(prefix="/v1/experiments/{name}", tags=["Experiments"])
        self._add_states(router)
        self._add_switches(router)
        return router

    def _add_states(self, router: APIRouter) -> None:
        admin, experiments, answer = self._admin, self._experiments, self._answer

        @router.post("/start", operation_id="start_experiment", responses=_RESPONSES)
        async def start(
            name: Name, response: Response, principal: Principal = admin, if_match: IfMatch = None
        ) -> ExperimentBody:
            """Start the newest version, instead of an older one, or go on with a paused one."""
            by = author(principal, if_match)
            return await answer(response, experiments.change(principal.own_tenant, name, "start", by))

        @router.post("/pause", operation_id="pause_experiment", responses=_RESPONSES)
        async def pause(
            name: Name, response: Response, principal: Principal = admin, if_match: IfMatch = None
        ) -> ExperimentBody:
            """Answer all units as usual until it is started again; what they do still counts."""
            by = author(principal, if_match)
            return await answer(response, experiments.change(principal.own_tenant, name, "pause", by))

        @router.post("/stop", operation_id="stop_experiment", responses=_RESPONSES)
        async def stop(
            name: Name, response: Response, principal: Principal = admin, if_match: IfMatch = None
        ) -> ExperimentBody:
            """Stop the experiment; its results stay."""
            by = author(principal, if_match)
            return await answer(response, experiments.change(principal.own_tenant, name, "stop", by))

        @router.post("/decide", operation_id="decide_experiment", responses=_RESPONSES | _UNKNOWN_VARIANT)
        async def decide(
            name: Name,
            decision: DecisionBody,
            response: Response,
            principal: Principal = admin,
            if_match: IfMatch = None,
        ) -> ExperimentBody:
            """End the experiment, and record which variant is kept, and why.

            Raise ApiError (400) for an unknown variant.
            """
            version = await experiments.get(principal.own_tenant, name)
            if decision.variant not in {None, *(variant.name for variant in version.variants)}:
                raise ApiError(400, "UnknownVariant", f"{name} has no variant {decision.variant!r}.")
            by = author(principal, if_match)
            record = Decision(**decision.model_dump(), decided_by=by.name, decided_at=datetime.now(UTC))
            return await answer(
                response, experiments.change(principal.own_tenant, name, "decide", by, record)
            )

        @router.post("/archive", operation_id="archive_experiment", responses=_RESPONSES)
        async def archive(
            name: Name, response: Response, principal: Principal = admin, if_match: IfMatch = None
        ) -> ExperimentBody:
            """Leave a stopped or decided experiment out of lists; its results stay."""
            by = author(principal, if_match)
            return await answer(response, experiments.change(principal.own_tenant, name, "archive", by))

    def _add_switches(self, router: APIRouter) -> None:
        admin, experiments, answer = self._admin, self._experiments, self._answer

        @router.put("/forced", operation_id="force_variants", responses=_RESPONSES | _UNKNOWN_VARIANT)
        async def force(
            name: Name,
            forced: ForcedUnits,
            response: Response,
            principal: Principal = admin,
            if_match: IfMatch = None,
        ) -> ExperimentBody:
            """Set the units that get a variant for tests; they stay out of the results."""
            by = author(principal, if_match)
            return await answer(response, experiments.force(principal.own_tenant, name, forced.units, by))

        @router.post("/variants/{variant}/disable", operation_id="disable_variant", responses=_RESPONSES)
        async def disable(
            name: Name,
            variant: VariantName,
            response: Response,
            principal: Principal = admin,
            if_match: IfMatch = None,
        ) -> ExperimentBody:
            """Answer the units of a variant as usual at once; later exposures do not count in the results."""
            by = author(principal, if_match)
            change = experiments.enable(principal.own_tenant, name, variant, by, enabled=False)
            return await answer(response, change)

        @router.post("/variants/{variant}/enable", operation_id="enable_variant", responses=_RESPONSES)
        async def enable(
            name: Name,
            variant: VariantName,
            response: Response,
            principal: Principal = admin,
            if_match: IfMatch = None,
        ) -> ExperimentBody:
            """Enable a variant again. The results stay as they are: define a new version to count anew."""
            by = author(principal, if_match)
            change = experiments.enable(principal.own_tenant, name, variant, by, enabled=True)
            return await answer(response, change)

        @router.get("/changes", operation_id="experiment_changes", responses=NOT_FOUND)
        async def changes(
            name: Name,
            principal: Principal = admin,
            limit: Annotated[int, Query(ge=1, le=1_000)] = 100,
        ) -> list[ChangeBody]:
            """Return who changed the experiment, newest first."""
            logged = await experiments.changes(principal.own_tenant, name, limit)
            if not logged:
                await experiments.get(principal.own_tenant, name)
            return [ChangeBody(**each._asdict()) for each in logged]

    async def _answer(self, response: Response, change: Awaitable[StoredVersion]) -> ExperimentBody:
        """Return the changed version, which this process knows from then on."""
        version = await change
        await self._running.refresh()
        response.headers["etag"] = etag(version)
        return body(version)
