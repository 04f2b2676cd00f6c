"""Routes of sources and their deliveries."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated

import orjson
from fastapi import APIRouter, Depends, Path, Query

from services.sync.api.source_bodies import (
    DeliveryBody,
    DeliveryList,
    NewSource,
    Replay,
    Run,
    SourceChange,
    SourceDetails,
    SourceList,
)
from services.sync.domain.source_model import SourceName
from services.sync.domain.sources import Config
from services.sync.store.inbox import Status
from shared.auth import Principal
from shared.errors import ApiError, Permanent
from shared.events.values import LARGEST_INT8
from shared.http.runtime import ERRORS, ErrorBody

if TYPE_CHECKING:
    from services.sync.store import Inbox, Pulls, Sources
    from services.sync.store.sources import Source
    from shared.auth import Authenticator

MOST_SOURCES = 100
"""Sources of a tenant; arbitrary."""

Name = Annotated[SourceName, Path()]
Number = Annotated[int, Path(ge=1, le=LARGEST_INT8)]

_RESPONSES = {
    **ERRORS,
    404: {"model": ErrorBody, "description": "The tenant has no source of this name, or no such delivery."},
    409: {"model": ErrorBody, "description": "The name is taken, or the delivery can't be replayed."},
}


def sources_router(authenticator: Authenticator, sources: Sources) -> APIRouter:
    """Return the routes of sources."""
    router = APIRouter(prefix="/v1/sources", tags=["sources"], responses=_RESPONSES)
    caller = Depends(authenticator.require("admin"))

    @router.post("", status_code=201, operation_id="create_source")
    async def create_source(new: NewSource, principal: Principal = caller) -> SourceDetails:
        """Add a source. Its secrets are stored encrypted, and no answer contains them.

        Raises ApiError 409 if the name is taken, or the tenant has too many sources.
        """
        tenant = principal.own_tenant
        _check_secrets(new.config, new.secrets or {})
        if await sources.count(tenant) >= MOST_SOURCES:
            raise ApiError(409, "TooManySources", f"The tenant has {MOST_SOURCES} sources; delete one first.")
        config = new.config.model_dump(mode="json")
        with _needs_key():
            added = await sources.add(tenant, new.name, config, new.secrets or {}, enabled=new.enabled)
        if not added:
            raise ApiError(409, "SourceExists", f"There is a source {new.name}; change it with PUT.")
        return SourceDetails.of(await _source(sources, tenant, new.name))

    @router.get("", operation_id="list_sources")
    async def list_sources(principal: Principal = caller) -> SourceList:
        """Return the sources of the tenant."""
        rows = await sources.of_tenant(principal.own_tenant)
        return SourceList(sources=[SourceDetails.of(row) for row in rows])

    @router.get("/{name}", operation_id="get_source")
    async def get_source(name: Name, principal: Principal = caller) -> SourceDetails:
        """Return a source with the numbers of its deliveries."""
        return SourceDetails.of(await _source(sources, principal.own_tenant, name))

    @router.put("/{name}", operation_id="change_source")
    async def change_source(name: Name, change: SourceChange, principal: Principal = caller) -> SourceDetails:
        """Replace the configuration of a source. Without `secrets` it keeps those that are stored."""
        source = await _source(sources, principal.own_tenant, name)
        if change.secrets is not None:
            _check_secrets(change.config, change.secrets)
        else:
            _check_secrets(change.config, dict.fromkeys(source.secret_names, ""))
        config = change.config.model_dump(mode="json")
        with _needs_key():
            await sources.change(principal.own_tenant, name, config, change.secrets, enabled=change.enabled)
        return SourceDetails.of(await _source(sources, principal.own_tenant, name))

    @router.delete("/{name}", status_code=204, operation_id="delete_source")
    async def delete_source(name: Name, principal: Principal = caller) -> None:
        """Delete a source and its deliveries. What it brought stays; deleting it again changes nothing."""
        await sources.delete(principal.own_tenant, name)

    return router


def deliveries_router(
    authenticator: Authenticator, sources: Sources, inbox: Inbox, pulls: Pulls
) -> APIRouter:
    """Return the routes of the runs and the deliveries of sources."""
    router = APIRouter(prefix="/v1/sources", tags=["sources"], responses=_RESPONSES)
    caller = Depends(authenticator.require("admin"))

    @router.post("/{name}/run", status_code=202, operation_id="run_source")
    async def run_source(name: Name, run: Run, principal: Principal = caller) -> SourceDetails:
        """Let a source be asked now: for the days since its last run, or with `full` for all days.

        Raises ApiError 409 for a webhook, which is not asked, and for a source that is switched off.
        """
        source = await _source(sources, principal.own_tenant, name)
        if source.kind == "webhook" or not source.enabled:
            detail = f"The source {name} is a webhook, or switched off: there is nothing to ask."
            raise ApiError(409, "NotRunnable", detail)
        await pulls.want(principal.own_tenant, name, full=run.full)
        return SourceDetails.of(await _source(sources, principal.own_tenant, name))

    @router.get("/{name}/deliveries", operation_id="list_deliveries")
    async def list_deliveries(
        name: Name,
        principal: Principal = caller,
        status: Annotated[Status | None, Query(description="only deliveries in this state")] = None,
        before: Annotated[
            int | None, Query(ge=1, le=LARGEST_INT8, description="the `seq` of the last row")
        ] = None,
        limit: Annotated[int, Query(ge=1, le=200)] = 50,
    ) -> DeliveryList:
        """Return the newest deliveries of a source."""
        source = await _source(sources, principal.own_tenant, name)
        rows = await inbox.deliveries(source.id, status=status, before=before, limit=limit)
        return DeliveryList.model_validate({"deliveries": rows})

    @router.get("/{name}/deliveries/{seq}", operation_id="get_delivery")
    async def get_delivery(name: Name, seq: Number, principal: Principal = caller) -> DeliveryBody:
        """Return a delivery with its body. Raises ApiError 404."""
        source = await _source(sources, principal.own_tenant, name)
        row = await inbox.delivery(source.id, seq)
        if row is None:
            raise ApiError(404, "UnknownDelivery", f"The source {name} has no delivery {seq}.")
        return DeliveryBody.model_validate(row | {"body": row["body"].decode(errors="replace")})

    @router.post("/{name}/deliveries/{seq}/replay", operation_id="replay_delivery")
    async def replay_delivery(
        name: Name, seq: Number, replay: Replay, principal: Principal = caller
    ) -> DeliveryBody:
        """Let a failed or ignored delivery be merged again, with another body if one is sent.

        Raises ApiError 409 for a delivery in another state.
        """
        source = await _source(sources, principal.own_tenant, name)
        body = None if replay.body is None else orjson.dumps(replay.body)
        if not await inbox.replay(source.id, seq, body):
            detail = f"The source {name} has no delivery {seq} that failed or was ignored."
            raise ApiError(409, "NotReplayable", detail)
        return await get_delivery(name, seq, principal)

    return router


@contextmanager
def _needs_key() -> Iterator[None]:
    """Raise ApiError 503 if the key that encrypts secrets is not set."""
    try:
        yield
    except Permanent as error:
        raise ApiError(503, "NoSecretKey", str(error)) from error


def _check_secrets(config: Config, secrets: dict[str, str]) -> None:
    """Raise ApiError 400 if a secret that the source needs is missing."""
    problem = config.missing_secret(secrets)
    if problem is not None:
        raise ApiError(400, "MissingSecret", problem)


async def _source(sources: Sources, tenant: str, name: str) -> Source:
    """Return a source of a tenant. Raises ApiError 404."""
    rows = await sources.of_tenant(tenant, name)
    if not rows:
        raise ApiError(404, "UnknownSource", f"There is no source {name}.")
    return rows[0]
