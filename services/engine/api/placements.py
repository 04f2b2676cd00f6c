"""Placements: read, define and delete what a shop recommends at each place of its pages."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Header, Path, Query, Request, Response
from pydantic import BaseModel, Field

from services.engine.settings import Settings
from services.engine.store.invocations import tenant_of_group
from services.engine.store.placements import Placements, StoredPlacement
from shared.auth import Authenticator, Principal
from shared.errors import ApiError, Permanent
from shared.events.placements import DEFAULT_PLACEMENTS, Placement, PlacementName
from shared.filters.placement_definitions import check, parse
from shared.http.runtime import ErrorBody
from shared.postgres import Database

Name = Annotated[PlacementName, Path(description="the name by which storefronts request it")]
Group = Annotated[
    str | None,
    Query(
        alias="datasetGroup",
        max_length=63,
        description="the dataset group, for callers with an AWS key pair; an API key belongs to one",
    ),
]
IfMatch = Annotated[
    str | None,
    Header(
        description="the ETag of the revision that the change is based on, or `*` for any; a change on "
        "another revision is refused"
    ),
]

_ERRORS: dict[int | str, dict[str, Any]] = {
    400: {"model": ErrorBody, "description": "The definition is invalid; the detail names each member."},
    409: {"model": ErrorBody, "description": "The tenant has as many placements as it may have."},
    412: {"model": ErrorBody, "description": "The placement has another revision than the ETag in If-Match."},
}
_MISSING: dict[int | str, dict[str, Any]] = {
    404: {"model": ErrorBody, "description": "There is no such placement."}
}


class PlacementBody(BaseModel):
    """A placement with its revision."""

    name: str
    revision: int | None = Field(description="grows with every change; null for a default")
    status: Literal["defined", "default"] = Field(
        description="whether the tenant defined it, or it is a placement that every tenant has"
    )
    changed_at: datetime | None = None
    changed_by: str | None = Field(None, description="identifies the key of the last change")
    placement: Placement


class PlacementBodies(BaseModel):
    """The placements of a tenant, by name."""

    placements: list[PlacementBody]


def router(database: Database, authenticator: Authenticator, settings: Settings) -> APIRouter:
    """Return the routes."""
    api = APIRouter(prefix="/v1/placements", tags=["Placements"])
    editor = Depends(authenticator.require("admin", "placements"))

    @api.get("", operation_id="placements", summary="Placements of the tenant")
    async def all_placements(principal: Principal = editor, group: Group = None) -> PlacementBodies:
        """Return the placements of the tenant, and the defaults that it has not redefined."""
        stored = {each.name: each for each in await (await _of(database, principal, group)).all()}
        names = sorted({*DEFAULT_PLACEMENTS, *stored})
        return PlacementBodies(placements=[_body(name, stored.get(name)) for name in names])

    @api.get("/{name}", operation_id="placement", summary="One placement", responses=_MISSING)
    async def described(
        name: Name, response: Response, principal: Principal = editor, group: Group = None
    ) -> PlacementBody:
        """Return a placement; its ETag is the revision."""
        stored = await (await _of(database, principal, group)).find(name)
        if stored is None and name not in DEFAULT_PLACEMENTS:
            raise _missing(name)
        response.headers["etag"] = _etag(stored)
        return _body(name, stored)

    @api.put("/{name}", operation_id="put_placement", summary="Define a placement", responses=_ERRORS)
    async def put(
        name: Name,
        request: Request,
        response: Response,
        placement: Placement,  # noqa: ARG001 - documents the body, which is parsed once more below
        principal: Principal = editor,
        group: Group = None,
        if_match: IfMatch = None,
    ) -> PlacementBody:
        """Define or change a placement; storefronts get the new one within a second.

        An equal definition changes nothing. The status is 201 if there was none. Raise ApiError (400) if the
        definition is invalid, and as Placements.put does.
        """
        placements = await _of(database, principal, group)
        try:
            definition = parse(await request.body())
            check(definition, await placements.names())
        except Permanent as error:
            raise ApiError(400, "InvalidPlacement", str(error)) from None
        stored, is_new = await placements.put(
            name,
            definition,
            changed_by=_author(principal),
            expected=_revision(if_match),
            most=settings.max_placements,
        )
        response.status_code = 201 if is_new else 200
        response.headers["etag"] = _etag(stored)
        return _body(name, stored)

    @api.delete(
        "/{name}",
        operation_id="delete_placement",
        summary="Delete a placement",
        status_code=204,
        responses=_MISSING | {412: _ERRORS[412]},
    )
    async def delete(
        name: Name, principal: Principal = editor, group: Group = None, if_match: IfMatch = None
    ) -> None:
        """Delete a placement; the default of the same name, if there is one, takes its place."""
        placements = await _of(database, principal, group)
        if not await placements.delete(name, changed_by=_author(principal), expected=_revision(if_match)):
            raise _missing(name)

    return api


async def _of(database: Database, principal: Principal, group: str | None) -> Placements:
    """Return the placements of the caller's tenant, or of a dataset group of its account.

    Raise ApiError: 400 without the dataset group that an AWS key pair needs, 404 for an unknown one.
    """
    if principal.account is None or principal.tenant is not None:
        return Placements(database, principal.own_tenant)
    if group is None:
        detail = (
            "An AWS key pair belongs to an account: name the dataset group in the parameter datasetGroup."
        )
        raise ApiError(400, "InvalidRequest", detail)
    tenant = await tenant_of_group(database, principal.account, group)
    if tenant is None:
        raise ApiError(404, "UnknownDatasetGroup", f"There is no dataset group {group!r}.")
    return Placements(database, tenant)


def _body(name: str, stored: StoredPlacement | None) -> PlacementBody:
    if stored is None:
        placement = DEFAULT_PLACEMENTS[name]
        return PlacementBody(name=name, revision=None, status="default", placement=placement)
    return PlacementBody(
        name=name,
        revision=stored.revision,
        status="defined",
        changed_at=stored.changed_at,
        changed_by=stored.changed_by,
        placement=stored.placement,
    )


def _etag(stored: StoredPlacement | None) -> str:
    return f'"{stored.revision if stored else 0}"'


def _revision(if_match: str | None) -> int | None:
    """Return the revision in an If-Match header, None for any; raise ApiError (400) for another text."""
    if if_match is None or if_match.strip() == "*":
        return None
    text = if_match.strip().removeprefix("W/").strip('"')
    if not text.isascii() or not text.isdigit():
        raise ApiError(400, "InvalidRequest", "If-Match must be the ETag of a placement, or *.")
    return int(text)


def _author(principal: Principal) -> str:
    return principal.credential or principal.kind


def _missing(name: str) -> ApiError:
    detail = f"There is no placement {name!r}: define it by PUT, or check the name."
    return ApiError(404, "UnknownPlacement", detail)
