"""HTTP: generations, and going back to an earlier one."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any, Literal

import structlog
from fastapi import APIRouter, Body, Depends, Path, Query, Response
from pydantic import BaseModel, Field

from services.loader.domain import Served
from services.loader.store import Activations, Caches, Generations, State
from shared.auth import Authenticator, Principal
from shared.errors import ApiError, Transient
from shared.http.runtime import ErrorBody
from shared.postgres import Database

log = structlog.get_logger()

Status = Literal["queued", "loading", "loaded", "refused", "failed", "dropping", "dropped"]


class Recipe(BaseModel):
    """The lists of one recipe."""

    recipe: str
    engine_recipe: str | None = Field(description="the recipe as the Personalize API calls it")
    rows: int = Field(description="lists")
    rejected: int = Field(description="lines that could not be used")
    active: bool = Field(description="whether these lists are served")


class Generation(BaseModel):
    """The lists of one training run."""

    generation: int = Field(description="the number of the run")
    status: Status
    reason: str | None = Field(description="why it was refused or failed")
    active: bool = Field(description="whether lists of it are served")
    rows: int
    rejected: int
    recipes: list[Recipe]
    started_at: datetime | None = Field(description="when the run began")
    received_at: datetime = Field(description="when the loader heard of it")
    loaded_at: datetime | None


class GenerationsPage(BaseModel):
    """The newest generations."""

    generations: list[Generation]


class RejectedLine(BaseModel):
    """A line of batch output that could not be used."""

    recipe: str
    file: str
    line: int
    reason: str
    text: str


class GenerationDetail(Generation):
    """A generation with its first rejected lines."""

    rejected_lines: list[RejectedLine]


class ActivationAnswer(BaseModel):
    """What is served now, or that a load has begun which will change it."""

    status: Literal["active", "loading"]
    activation: int | None = Field(description="the number that this state of the pointers has")
    generations: dict[str, int] = Field(description="recipe → generation")


class ActivationRequest(BaseModel):
    """How to activate."""

    force: bool = Field(False, description="load a refused generation in spite of how it looks")


_UNKNOWN: dict[int | str, dict[str, Any]] = {
    404: {"model": ErrorBody, "description": "The tenant has no such generation."}
}
_CONFLICT: dict[int | str, dict[str, Any]] = {
    409: {"model": ErrorBody, "description": "The generation can't be served."}
}


@dataclass(frozen=True, slots=True)
class Operations:
    """What the routes do."""

    database: Database
    generations: Generations
    activations: Activations
    caches: Caches

    async def listed(self, tenant: str, limit: int) -> list[Mapping[str, Any]]:
        """The newest generations."""
        return await self.generations.listed(tenant, limit=limit)

    async def detail(self, tenant: str, generation: int) -> dict[str, Any]:
        """One generation."""
        found = await self.generations.listed(tenant, generation=generation)
        if not found:
            raise _unknown(generation)
        lines = await self.generations.rejected_lines(generation)
        return {**found[0], "rejected_lines": lines}

    async def activate(self, tenant: str, generation: int, *, force: bool) -> ActivationAnswer:
        """Serve a loaded generation at once; load one that was refused or failed, if that is asked."""
        async with self.database.transaction() as connection:
            await self.activations.lock(connection, tenant)
            state = await self.generations.state(connection, tenant, generation)
            if state is None:
                raise _unknown(generation)
            if state.status != "loaded":
                _require_loadable(generation, state, force=force)
                await self.generations.load_again(connection, tenant, generation, force=force)
                return ActivationAnswer(status="loading", activation=None, generations={})
            served = await self.activations.by_request(connection, tenant, generation)
        await self._follow(served)
        return ActivationAnswer(status="active", activation=served.activation, generations=served.generations)

    async def _follow(self, served: Served) -> None:
        """Move Redis's pointer too, if it can be done at once; else the worker does within seconds."""
        try:
            if await self.caches.is_filled(served.tenant, served.generations.values()):
                await self.caches.point(served)
        except Transient as away:
            log.warning("loader.redis_away", tenant=served.tenant, error=str(away))


def _unknown(generation: int) -> ApiError:
    detail = f"There is no generation {generation}; GET /v1/generations lists them."
    return ApiError(404, "UnknownGeneration", detail)


def _require_loadable(generation: int, state: State, *, force: bool) -> None:
    """Raise 409 unless the generation may be loaded again: it failed, or was refused and is forced."""
    if state.loadable and (state.status == "failed" or (state.status == "refused" and force)):
        return
    why = {
        "queued": "is about to be loaded; wait until it is",
        "loading": "is being loaded; wait until it is",
        "refused": f'was refused: {state.reason}. Send {{"force": true}} to load it all the same',
        "failed": f"has no lists: {state.reason}",
        "dropping": "was dropped to make room for newer ones; start a new run",
        "dropped": "was dropped to make room for newer ones; start a new run",
    }[state.status]
    raise ApiError(409, "NotLoaded", f"Generation {generation} {why}.")


def router(authenticator: Authenticator, operations: Operations) -> APIRouter:
    """The loader's routes."""
    routes = APIRouter(prefix="/v1/generations", tags=["generations"])
    Reader = Annotated[Principal, Depends(authenticator.require("read"))]  # noqa: N806
    Administrator = Annotated[Principal, Depends(authenticator.require("admin"))]  # noqa: N806
    Number = Annotated[int, Path(ge=1, le=2**62, description="the generation")]  # noqa: N806

    @routes.get("", operation_id="list_generations")
    async def list_generations(
        principal: Reader, limit: Annotated[int, Query(ge=1, le=1000)] = 100
    ) -> GenerationsPage:
        """List the newest generations of the tenant, with their recipes and what was refused."""
        found = await operations.listed(principal.own_tenant, limit)
        return GenerationsPage.model_validate({"generations": found})

    @routes.get("/{generation}", operation_id="get_generation", responses=_UNKNOWN)
    async def get_generation(principal: Reader, generation: Number) -> GenerationDetail:
        """Show one generation and up to 100 of its rejected lines."""
        found = await operations.detail(principal.own_tenant, generation)
        return GenerationDetail.model_validate(found)

    @routes.post(
        "/{generation}/activate",
        operation_id="activate_generation",
        responses={
            202: {"model": ActivationAnswer, "description": "It is loaded again, then activated."},
            **_UNKNOWN,
            **_CONFLICT,
        },
    )
    async def activate_generation(
        principal: Administrator,
        generation: Number,
        response: Response,
        request: Annotated[ActivationRequest | None, Body()] = None,
    ) -> ActivationAnswer:
        """Serve this generation from now on, all its recipes at once: the way back to an earlier one."""
        force = request is not None and request.force
        answer = await operations.activate(principal.own_tenant, generation, force=force)
        response.status_code = 200 if answer.status == "active" else 202
        return answer

    return routes
