"""The routes that change the state of an experiment, and its log."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any, Final

from fastapi import APIRouter, Depends, Query, Response

from services.router.api.etags import IfMatch, author, etag
from services.router.api.experiment_bodies import ChangeBody, DecisionBody, ExperimentBody, ForcedUnits
from services.router.api.experiments import CHANGED, NOT_FOUND, Name, body
from services.router.domain.experiments import Decision, StoredVersion
from services.router.domain.lifecycle import Change
from services.router.store.change_log import unknown_variant
from services.router.store.experiments import KnownResults
from shared.auth import Authenticator, Principal
from shared.experiments import VariantName
from shared.http.runtime import ErrorBody

if TYPE_CHECKING:
    from services.router.store.experiments import Experiments
    from services.router.store.results import StoredResults
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

_STATE_CHANGES: Final[Mapping[Change, str]] = {
    "start": "Start the newest version, instead of an older one, or go on with a paused one.",
    "pause": "Answer all units as usual until it is started again; what they do still counts.",
    "stop": "Stop the experiment; its results stay.",
    "archive": "Leave a stopped or decided experiment out of lists; its results stay.",
}
"""The changes without a body, and the descriptions of their routes."""
_SWITCHES: Final = {
    "disable": "Answer the units of a variant as usual at once; later exposures do not count in the results.",
    "enable": "Enable a variant again. The results stay as they are: define a new version to count anew.",
}


class LifecycleRoutes:
    """Draft, running, paused, stopped, decided, archived; forced units and disabled variants."""

    def __init__(
        self,
        experiments: Experiments,
        results: StoredResults,
        running: RunningExperiments,
        authenticator: Authenticator,
    ) -> None:
        self._experiments = experiments
        self._results = results
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
        for change, description in _STATE_CHANGES.items():
            router.add_api_route(
                f"/{change}",
                self._state_route(change),
                methods=["POST"],
                operation_id=f"{change}_experiment",
                name=change,
                description=description,
                responses=_RESPONSES,
            )

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
            tenant = principal.own_tenant
            version = await experiments.current(tenant, name)
            if decision.variant not in {None, *(variant.name for variant in version.variants)}:
                raise unknown_variant(version, str(decision.variant))
            by = author(principal, if_match)
            record = Decision(**decision.model_dump(), decided_by=by.name, decided_at=datetime.now(UTC))
            known = await self._known_results(version)
            return await answer(response, experiments.change(tenant, name, "decide", by, record, known=known))

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

        for switch, description in _SWITCHES.items():
            router.add_api_route(
                f"/variants/{{variant}}/{switch}",
                self._switch_route(enabled=switch == "enable"),
                methods=["POST"],
                operation_id=f"{switch}_variant",
                name=switch,
                description=description,
                responses=_RESPONSES,
            )

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

    def _state_route(self, change: Change) -> Callable[..., Awaitable[ExperimentBody]]:
        """Return the route of a change that needs no body."""

        async def route(
            name: Name, response: Response, principal: Principal = self._admin, if_match: IfMatch = None
        ) -> ExperimentBody:
            by = author(principal, if_match)
            return await self._answer(
                response, self._experiments.change(principal.own_tenant, name, change, by)
            )

        return route

    def _switch_route(self, *, enabled: bool) -> Callable[..., Awaitable[ExperimentBody]]:
        """Return the route that enables or disables a variant."""

        async def route(
            name: Name,
            variant: VariantName,
            response: Response,
            principal: Principal = self._admin,
            if_match: IfMatch = None,
        ) -> ExperimentBody:
            by = author(principal, if_match)
            return await self._answer(
                response,
                self._experiments.enable(principal.own_tenant, name, variant, by, enabled=enabled),
            )

        return route

    async def _known_results(self, version: StoredVersion) -> KnownResults | None:
        """Return the results on which a decision is based; None if they cannot be read in time."""
        if version.started_at is None:
            return None
        try:
            results = await self._results.of(version)
        except TimeoutError:
            return None
        return KnownResults(version.version, results.model_dump(mode="json"))

    async def _answer(self, response: Response, change: Awaitable[StoredVersion]) -> ExperimentBody:
        """Return the changed version, which this process knows from then on."""
        version = await change
        await self._running.refresh()
        response.headers["etag"] = etag(version)
        return body(version)
