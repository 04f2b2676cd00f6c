"""The route of off-policy estimates: what a definition of a placement would earn, before anybody sees it."""

from __future__ import annotations

import asyncio
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any

import orjson
from fastapi import APIRouter, Depends, Query, Request

from services.router.api.experiments import NOT_FOUND, Name
from services.router.domain.late_analysis import off_policy_result
from services.router.domain.results import OffPolicyResult
from shared.auth import Authenticator, Principal
from shared.errors import ApiError
from shared.events import canonical_type
from shared.events.placements import Placement
from shared.events.values import Name as EventName
from shared.http import SMALL_BODY_BYTES
from shared.http.request_bodies import documented, read_body
from shared.http.runtime import ErrorBody

if TYPE_CHECKING:
    from services.router.store.experiments import Experiments
    from services.router.store.rewards import RewardStore
    from services.router.store.upstream import Upstream

MAX_ANSWERS = 2_000

_REFUSED: dict[int | str, dict[str, Any]] = {
    400: {"model": ErrorBody, "description": "The definition is invalid."},
    409: {"model": ErrorBody, "description": "The experiment is not on a placement."},
}


class OffPolicyRoutes:
    """The route."""

    def __init__(
        self, experiments: Experiments, rewards: RewardStore, upstream: Upstream, authenticator: Authenticator
    ) -> None:
        self._experiments = experiments
        self._rewards = rewards
        self._upstream = upstream
        self._admin = Depends(authenticator.require("admin"))

    def router(self) -> APIRouter:
        """Return the route."""
        router = APIRouter(prefix="/v1/experiments/{name}", tags=["Experiments"])

        @router.post(
            "/off-policy",
            operation_id="off_policy_estimate",
            responses=NOT_FOUND | _REFUSED,
            openapi_extra=documented(Placement),
        )
        async def off_policy(
            name: Name,
            request: Request,
            event: Annotated[EventName, Query(description="the events that count, such as click")] = "click",
            answers: Annotated[
                int, Query(ge=1, le=MAX_ANSWERS, description="logged answers, the newest ones")
            ] = MAX_ANSWERS,
            principal: Principal = self._admin,
        ) -> OffPolicyResult:
            """Estimate what a definition of the placement would earn, from logged answers."""
            body = await read_body(request, SMALL_BODY_BYTES)
            return await self._estimate(principal.own_tenant, name, canonical_type(event), answers, body)

        return router

    async def _estimate(
        self, tenant: str, name: str, event: str, answers: int, definition: bytes
    ) -> OffPolicyResult:
        version = await self._experiments.get(tenant, name)
        kind, _, placement = version.surface.partition("/")
        if kind != "placement":
            detail = f"{name} runs on {version.surface}; only answers of a placement can be estimated."
            raise ApiError(409, "NoPlacement", detail)
        target = f"/v1/placements/{placement}/replay?experiment={name}&answers={answers}".encode()
        headers = {"content-type": "application/json"}
        reply = await self._upstream.call(tenant, "POST", target, definition, headers)
        document = orjson.loads(reply.body)
        if reply.status != 200:
            raise ApiError(reply.status, document["error"], document["detail"])
        replayed = document["answers"]
        rewards: dict[str, set[str]] = {}
        if replayed:
            subjects = {each[part] for each in replayed for part in ("user_id", "session_id") if each[part]}
            since = min(datetime.fromisoformat(each["served_at"]) for each in replayed)
            ids = [each["recommendation_id"] for each in replayed]
            rewards = await self._rewards.of(tenant, event, ids, subjects, since)
        return await asyncio.to_thread(off_policy_result, placement, name, event, replayed, rewards)
