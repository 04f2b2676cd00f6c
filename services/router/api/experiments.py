"""The routes of experiments: define, start, stop, read the results."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any, Literal

from fastapi import APIRouter, Depends, Path, Query, Response
from pydantic import BaseModel, Field

from services.router.domain.experiments import Definition, Outcome, sample_ratio_p
from shared.auth import Authenticator, Principal
from shared.events.values import LARGEST_INT4
from shared.experiments import Experiment, Slug, Variant
from shared.http.runtime import ErrorBody

if TYPE_CHECKING:
    from services.router.store.experiments import Experiments
    from services.router.store.running_experiments import RunningExperiments

Name = Annotated[Slug, Path(description="the name in the definition")]

_NOT_FOUND: dict[int | str, dict[str, Any]] = {
    404: {"model": ErrorBody, "description": "There is no such experiment."}
}
_CONFLICT: dict[int | str, dict[str, Any]] = {
    **_NOT_FOUND,
    409: {
        "model": ErrorBody,
        "description": "Another experiment runs on the surface, or this one was stopped.",
    },
}

_LIMIT: dict[int | str, dict[str, Any]] = {
    409: {"model": ErrorBody, "description": "The quota of experiments or of versions is reached."}
}


class VariantResult(Variant):
    """A variant with its results."""

    exposed: int = Field(description="units that were exposed to it")
    events: dict[str, Outcome] = Field(
        description="their events since then, by canonical event type, such as purchase"
    )


class ExperimentBody(BaseModel):
    """One version of an experiment."""

    name: str
    version: int
    surface: str
    traffic: float
    salt: str
    status: Literal["draft", "running", "stopped"]
    created_at: datetime
    started_at: datetime | None
    stopped_at: datetime | None
    variants: list[Variant]


class ExperimentResult(ExperimentBody):
    """One version of an experiment with its results."""

    variants: list[VariantResult]  # type: ignore[assignment]
    sample_ratio_p: float | None = Field(
        description="p-value of the sizes of the groups; below 0.001 no result is valid"
    )
    mixed_units: int = Field(
        description="units that were exposed to several variants; more than 0 is a defect"
    )
    crossed_users: int = Field(
        description="users who were exposed to several variants: as a visitor, and after a login"
    )


class ExperimentRoutes:
    """The routes of experiments."""

    def __init__(
        self, experiments: Experiments, running: RunningExperiments, authenticator: Authenticator
    ) -> None:
        self._experiments = experiments
        self._running = running
        self._admin = Depends(authenticator.require("admin"))

    def router(self) -> APIRouter:
        """Return all routes."""
        router = APIRouter(prefix="/v1/experiments", tags=["Experiments"])
        admin = self._admin

        @router.post("", operation_id="define_experiment", status_code=201, responses=_LIMIT)
        async def define(
            definition: Definition, response: Response, principal: Principal = admin
        ) -> ExperimentBody:
            """Define an experiment, or a new version of it; the status is 200 if nothing has changed."""
            version, is_new = await self._experiments.define(principal.own_tenant, definition)
            if not is_new:
                response.status_code = 200
            return _body(version)

        @router.get("", operation_id="experiments")
        async def latest_versions(principal: Principal = admin) -> list[ExperimentBody]:
            """Return the newest version of each experiment."""
            versions = await self._experiments.latest_versions(principal.own_tenant)
            return [_body(version) for version in versions]

        @router.get("/{name}", operation_id="experiment", responses=_NOT_FOUND)
        async def experiment(
            name: Name,
            version: Annotated[
                int | None, Query(ge=1, le=LARGEST_INT4, description="by default the newest")
            ] = None,
            principal: Principal = admin,
        ) -> ExperimentResult:
            """Return a version with its results so far."""
            return await self._result(await self._experiments.get(principal.own_tenant, name, version))

        @router.post("/{name}/start", operation_id="start_experiment", responses=_CONFLICT)
        async def start(name: Name, principal: Principal = admin) -> ExperimentBody:
            """Start the newest version, instead of an older one."""
            started = await self._experiments.start(principal.own_tenant, name)
            await self._running.refresh()
            return _body(started)

        @router.post("/{name}/stop", operation_id="stop_experiment", responses=_NOT_FOUND)
        async def stop(name: Name, principal: Principal = admin) -> ExperimentBody:
            """Stop the experiment; its results stay."""
            stopped = await self._experiments.stop(principal.own_tenant, name)
            await self._running.refresh()
            return _body(stopped)

        @router.delete(
            "/{name}", operation_id="delete_experiment_drafts", status_code=204, responses=_CONFLICT
        )
        async def delete(name: Name, principal: Principal = admin) -> None:
            """Delete the versions that never ran."""
            await self._experiments.delete_drafts(principal.own_tenant, name)

        return router

    async def _result(self, version: Experiment) -> ExperimentResult:
        counts = await self._experiments.counts(version)
        results = [
            VariantResult(
                **variant.model_dump(),
                exposed=counts.units.get(variant.name, 0),
                events=counts.outcomes.get(variant.name, {}),
            )
            for variant in version.variants
        ]
        return ExperimentResult(
            **_body(version).model_dump(exclude={"variants"}),
            variants=results,
            sample_ratio_p=sample_ratio_p(
                [result.exposed for result in results], [result.weight for result in results]
            ),
            mixed_units=counts.mixed,
            crossed_users=counts.crossed,
        )


def _body(version: Experiment) -> ExperimentBody:
    return ExperimentBody.model_validate(version.model_dump())
