"""Experiments: defining, starting, stopping, and what came of them."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any, Literal

from fastapi import APIRouter, Depends, Path, Query, Response
from pydantic import BaseModel, Field

from services.router.domain.experiments import (
    Definition,
    Experiment,
    Outcome,
    Slug,
    Variant,
    sample_ratio_p,
)
from shared.auth import Authenticator, Principal
from shared.events.values import LARGEST_INT4
from shared.http.runtime import ErrorBody

if TYPE_CHECKING:
    from services.router.store.experiments import Experiments
    from services.router.store.running import Running

Name = Annotated[Slug, Path(description="as it was posted")]

_NOT_FOUND: dict[int | str, dict[str, Any]] = {
    404: {"model": ErrorBody, "description": "There is no such experiment."}
}
_CONFLICT: dict[int | str, dict[str, Any]] = {
    **_NOT_FOUND,
    409: {"model": ErrorBody, "description": "Another experiment has the surface, or it was stopped."},
}

_LIMIT: dict[int | str, dict[str, Any]] = {
    409: {"model": ErrorBody, "description": "There are as many experiments or versions as are allowed."}
}


class VariantResult(Variant):
    """A variant and what came of it."""

    exposed: int = Field(description="units that were shown it")
    events: dict[str, Outcome] = Field(
        description="what they did from then on, by canonical event type, such as purchase"
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
    """The same with its counts."""

    variants: list[VariantResult]  # type: ignore[assignment]
    sample_ratio_p: float | None = Field(
        description="how likely such unequal groups are by chance; below 0.001 believe no result"
    )
    mixed_units: int = Field(description="units that saw more than one variant; anything above 0 is a defect")
    crossed_users: int = Field(
        description="users who saw more than one variant: as a visitor, and after they had logged in"
    )


class Routes:
    """The routes of experiments."""

    def __init__(self, experiments: Experiments, running: Running, authenticator: Authenticator) -> None:
        self._experiments = experiments
        self._running = running
        self._admin = Depends(authenticator.require("admin"))

    def router(self) -> APIRouter:
        """All of them."""
        router = APIRouter(prefix="/v1/experiments", tags=["Experiments"])
        admin = self._admin

        @router.post("", operation_id="define_experiment", status_code=201, responses=_LIMIT)
        async def define(
            definition: Definition, response: Response, principal: Principal = admin
        ) -> ExperimentBody:
            """Define an experiment, or another version of it; 200 when it says nothing new."""
            found, is_new = await self._experiments.define(principal.own_tenant, definition)
            if not is_new:
                response.status_code = 200
            return _body(found)

        @router.get("", operation_id="experiments")
        async def every(principal: Principal = admin) -> list[ExperimentBody]:
            """The newest version of each experiment."""
            return [_body(one) for one in await self._experiments.every(principal.own_tenant)]

        @router.get("/{name}", operation_id="experiment", responses=_NOT_FOUND)
        async def one(
            name: Name,
            version: Annotated[
                int | None, Query(ge=1, le=LARGEST_INT4, description="the newest if none is given")
            ] = None,
            principal: Principal = admin,
        ) -> ExperimentResult:
            """A version and what came of it so far."""
            return await self._result(await self._experiments.one(principal.own_tenant, name, version))

        @router.post("/{name}/start", operation_id="start_experiment", responses=_CONFLICT)
        async def start(name: Name, principal: Principal = admin) -> ExperimentBody:
            """Let the newest version serve, in place of an older one."""
            started = await self._experiments.start(principal.own_tenant, name)
            await self._running.refresh()
            return _body(started)

        @router.post("/{name}/stop", operation_id="stop_experiment", responses=_NOT_FOUND)
        async def stop(name: Name, principal: Principal = admin) -> ExperimentBody:
            """Let it serve nobody any more; its counts stay."""
            stopped = await self._experiments.stop(principal.own_tenant, name)
            await self._running.refresh()
            return _body(stopped)

        @router.delete(
            "/{name}", operation_id="delete_experiment_drafts", status_code=204, responses=_CONFLICT
        )
        async def delete(name: Name, principal: Principal = admin) -> None:
            """Delete the versions that never served."""
            await self._experiments.delete_drafts(principal.own_tenant, name)

        return router

    async def _result(self, found: Experiment) -> ExperimentResult:
        counts = await self._experiments.counts(found)
        results = [
            VariantResult(
                **variant.model_dump(),
                exposed=counts.units.get(variant.name, 0),
                events=counts.outcomes.get(variant.name, {}),
            )
            for variant in found.variants
        ]
        return ExperimentResult(
            **_body(found).model_dump(exclude={"variants"}),
            variants=results,
            sample_ratio_p=sample_ratio_p([one.exposed for one in results], [one.weight for one in results]),
            mixed_units=counts.mixed,
            crossed_users=counts.crossed,
        )


def _body(found: Experiment) -> ExperimentBody:
    return ExperimentBody.model_validate(found.model_dump())
