"""HTTP: generations, and rolling back to an earlier one."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any, Literal

import structlog
from fastapi import APIRouter, Body, Depends, Path, Query, Response
from pydantic import BaseModel, Field

from services.loader.domain import ActiveGenerations
from services.loader.store import Activations, Caches, Generations, GenerationState
from shared.auth import Authenticator, Principal
from shared.errors import ApiError, Transient
from shared.events.batches import RunKind
from shared.http.runtime import ErrorBody
from shared.postgres import Database

log = structlog.get_logger()

Status = Literal["queued", "loading", "loaded", "refused", "failed", "dropping", "dropped"]


class Recipe(BaseModel):
    """The lists of one recipe."""

    recipe: str
    engine_recipe: str | None = Field(description="the name of the recipe in the Personalize API")
    rows: int = Field(description="lists")
    rejected: int = Field(description="lines that could not be used")
    active: bool = Field(description="whether these lists are served")


class Generation(BaseModel):
    """The lists of one training run."""

    generation: int = Field(description="the number of the run")
    kind: RunKind = Field(description="all lists, or an overlay of some")
    base: int | None = Field(description="the generation whose lists an overlay replaces in part")
    status: Status
    reason: str | None = Field(description="why it was refused, or why it failed")
    active: bool = Field(description="whether any of its lists are served")
    rows: int
    rejected: int
    recipes: list[Recipe]
    started_at: datetime | None = Field(description="when the run started")
    received_at: datetime = Field(description="when the loader received the batch")
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
    """The generations that are served now; or that a load was queued, which will change them."""

    status: Literal["active", "loading"]
    activation: int | None = Field(description="the number of the activation, which grows with each")
    generations: dict[str, int] = Field(description="recipe → generation")
    overlays: dict[str, int] = Field(
        default_factory=dict, description="recipe → generation whose lists are read first"
    )


class ActivationRequest(BaseModel):
    """Options of an activation."""

    force: bool = Field(False, description="load a refused generation despite the reason of its refusal")


_UNKNOWN: dict[int | str, dict[str, Any]] = {
    404: {"model": ErrorBody, "description": "The tenant has no such generation."}
}
_CONFLICT: dict[int | str, dict[str, Any]] = {
    409: {"model": ErrorBody, "description": "The generation can't be served."}
}


@dataclass(frozen=True, slots=True)
class Operations:
    """The operations behind the routes."""

    database: Database
    generations: Generations
    activations: Activations
    caches: Caches

    async def list_newest(self, tenant: str, limit: int) -> list[Mapping[str, Any]]:
        """Return the newest generations of a tenant."""
        return await self.generations.list_newest(tenant, limit=limit)

    async def detail(self, tenant: str, generation: int) -> dict[str, Any]:
        """Return a generation with its first rejected lines; ApiError 404 if the tenant has none such."""
        rows = await self.generations.list_newest(tenant, generation=generation)
        if not rows:
            raise _unknown(generation)
        lines = await self.generations.rejected_lines(generation)
        return {**rows[0], "rejected_lines": lines}

    async def activate(self, tenant: str, generation: int, *, force: bool) -> ActivationAnswer:
        """Activate a loaded generation; queue another load of a failed one, or of a refused one with `force`.

        Raises ApiError 404 for an unknown generation, and 409 for one that can't be loaded or served.
        """
        async with self.database.transaction() as connection:
            await self.activations.lock(connection, tenant)
            state = await self.generations.state(connection, tenant, generation)
            if state is None:
                raise _unknown(generation)
            if state.status != "loaded":
                _require_loadable(generation, state, force=force)
                await self.generations.queue_reload(connection, tenant, generation, force=force)
                return ActivationAnswer(status="loading", activation=None, generations={})
            active = await self.activations.activate(connection, tenant, generation)
        if active is None:
            detail = (
                f"Generation {generation} is an overlay of generation {state.base}, which is not served: "
                "activate that first."
            )
            raise ApiError(409, "BaseNotActive", detail)
        await self._set_pointer(active)
        return ActivationAnswer(
            status="active",
            activation=active.activation,
            generations=active.generations,
            overlays={recipe: overlay.generation for recipe, overlay in active.overlays.items()},
        )

    async def _set_pointer(self, active: ActiveGenerations) -> None:
        """Set the pointer in Redis, if Redis has the lists; otherwise the worker does so within seconds."""
        try:
            if await self.caches.is_filled(active.tenant, active.numbers):
                await self.caches.set_pointer(active)
        except Transient as error:
            log.warning("loader.redis_unavailable", tenant=active.tenant, error=str(error))


def _unknown(generation: int) -> ApiError:
    detail = f"There is no generation {generation}; GET /v1/generations lists them."
    return ApiError(404, "UnknownGeneration", detail)


def _require_loadable(generation: int, state: GenerationState, *, force: bool) -> None:
    """Raise ApiError 409 unless the generation has failed, or was refused and `force` is set."""
    if state.loadable and (state.status == "failed" or (state.status == "refused" and force)):
        return
    problem = {
        "queued": "is about to be loaded; wait until it is",
        "loading": "is being loaded; wait until it is",
        "refused": f'was refused: {state.reason}. Send {{"force": true}} to load it all the same',
        "failed": f"has no lists: {state.reason}",
        "dropping": "was dropped to make room for newer ones; start a new run",
        "dropped": "was dropped to make room for newer ones; start a new run",
    }[state.status]
    raise ApiError(409, "NotLoaded", f"Generation {generation} {problem}.")


def router(authenticator: Authenticator, operations: Operations) -> APIRouter:
    """Return the routes of the loader."""
    routes = APIRouter(prefix="/v1/generations", tags=["generations"])
    Reader = Annotated[Principal, Depends(authenticator.require("read"))]  # noqa: N806
    Administrator = Annotated[Principal, Depends(authenticator.require("admin"))]  # noqa: N806
    Number = Annotated[int, Path(ge=1, le=2**62, description="the generation")]  # noqa: N806

    @routes.get("", operation_id="list_generations")
    async def list_generations(
        principal: Reader, limit: Annotated[int, Query(ge=1, le=1000)] = 100
    ) -> GenerationsPage:
        """List the newest generations of the tenant, with their recipes and what was refused."""
        generations = await operations.list_newest(principal.own_tenant, limit)
        return GenerationsPage.model_validate({"generations": generations})

    @routes.get("/{generation}", operation_id="get_generation", responses=_UNKNOWN)
    async def get_generation(principal: Reader, generation: Number) -> GenerationDetail:
        """Show one generation and up to 100 of its rejected lines."""
        return GenerationDetail.model_validate(await operations.detail(principal.own_tenant, generation))

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
        """Serve this generation from now on, all its recipes at once; also to roll back to an earlier one."""
        force = request is not None and request.force
        answer = await operations.activate(principal.own_tenant, generation, force=force)
        response.status_code = 200 if answer.status == "active" else 202
        return answer

    return routes
