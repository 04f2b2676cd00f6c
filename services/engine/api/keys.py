"""Keys: list, create, rotate and revoke the API keys of a tenant."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Path, Response
from pydantic import BaseModel, ConfigDict, Field

from services.engine.domain.key_expiry import parse_expiry
from services.engine.settings import Settings
from services.engine.store.keys import BOUND_TO_ORIGINS, KeyKind, Origins, kind_of
from services.engine.store.tenant_keys import Row, TenantKeys
from shared.auth import Authenticator, Principal, normalized_origin
from shared.errors import ApiError
from shared.events.values import Text
from shared.http.runtime import ErrorBody
from shared.postgres import Database

Id = Annotated[str, Path(max_length=64, description="the id of a key, which is not the key itself")]

_LIMIT: dict[int | str, dict[str, Any]] = {
    409: {"model": ErrorBody, "description": "The tenant has as many keys as it may have."}
}
_MISSING: dict[int | str, dict[str, Any]] = {
    404: {"model": ErrorBody, "description": "The tenant has no such key, or it has ended."}
}


class KeyBody(BaseModel):
    """A key without the key itself."""

    id: str
    kind: KeyKind | Literal["custom", "service"] = Field(
        description="`custom` if no kind has exactly these scopes, as those of a key of an earlier version"
    )
    scopes: list[str]
    label: str
    created_at: datetime
    expires_at: datetime | None = Field(description="null if it never expires")
    allowed_origins: list[str] | None = Field(description="null if pages of every origin may use it")
    requires_origin: bool


class KeyBodies(BaseModel):
    """The API keys of a tenant, newest first."""

    keys: list[KeyBody]


class CreatedKey(KeyBody):
    """A new key."""

    key: str = Field(description="the key itself; it is stored as a hash, so this is the only time to see it")


class NewKey(BaseModel):
    """The purpose of a new key."""

    model_config = ConfigDict(extra="forbid")

    kind: KeyKind = Field(description="what the key may do; docs/security.md lists the scopes of each kind")
    label: Text = Field("", max_length=100, description="a note for the list, such as who holds the key")
    expires: str | None = Field(
        None,
        max_length=40,
        description="a duration such as 7d or 12h, or an ISO 8601 time; by default never",
    )
    allowed_origins: list[Annotated[str, Field(max_length=300)]] | None = Field(
        None,
        min_length=1,
        max_length=20,
        description="origins whose pages may use it, by default all; a storefront key needs some",
    )
    requires_origin: bool = Field(False, description="refuse requests without an Origin header")


class Rotation(BaseModel):
    """The end of the old key."""

    model_config = ConfigDict(extra="forbid")

    hours: float = Field(24.0, ge=0, le=24 * 365, description="hours until the old key expires")


def router(database: Database, authenticator: Authenticator, settings: Settings) -> APIRouter:
    """Return the routes."""
    api = APIRouter(prefix="/v1/keys", tags=["Keys"])
    admin = Depends(authenticator.require("admin"))

    def of(principal: Principal) -> TenantKeys:
        return TenantKeys(database, principal.own_tenant, settings.max_keys)

    @api.get("", operation_id="keys", summary="API keys of the tenant")
    async def all_keys(principal: Principal = admin) -> KeyBodies:
        """Return the API keys of the tenant, expired ones too, without the keys themselves."""
        return KeyBodies(keys=[KeyBody(**_members(row)) for row in await of(principal).all()])

    @api.post("", operation_id="create_key", summary="Create a key", status_code=201, responses=_LIMIT)
    async def create(new: NewKey, response: Response, principal: Principal = admin) -> CreatedKey:
        """Create a key. The answer is the only one that contains it."""
        expires_at, origins = _expiry(new.expires), _origins(new)
        row, key = await of(principal).create(
            new.kind, label=new.label, expires_at=expires_at, origins=origins
        )
        return _created(response, row, key)

    @api.post(
        "/{id}/rotate",
        operation_id="rotate_key",
        summary="Replace a key",
        status_code=201,
        responses=_MISSING | _LIMIT,
    )
    async def rotate(
        id: Id,  # noqa: A002 - the name in the path
        response: Response,
        rotation: Rotation | None = None,
        principal: Principal = admin,
    ) -> CreatedKey:
        """Create a key with the scopes, label and origins of another one, which then expires."""
        hours = (rotation or Rotation()).hours
        created = await of(principal).rotate(id, datetime.now(UTC) + timedelta(hours=hours))
        if created is None:
            raise _missing(id)
        return _created(response, *created)

    @api.delete("/{id}", operation_id="revoke_key", summary="End a key", status_code=204, responses=_MISSING)
    async def revoke(id: Id, principal: Principal = admin) -> None:  # noqa: A002 - the name in the path
        """End a key. Processes that have cached it accept it for up to a minute."""
        if not await of(principal).revoke(id):
            raise _missing(id)

    return api


def _members(row: Row) -> dict[str, Any]:
    return {**row, "kind": kind_of(row["scopes"])}


def _created(response: Response, row: Row, key: str) -> CreatedKey:
    response.headers["cache-control"] = "no-store"
    return CreatedKey(**_members(row), key=key)


def _expiry(text: str | None) -> datetime | None:
    """Return the time of an expiry; raise ApiError (400) for a text that is none."""
    if text is None:
        return None
    try:
        return parse_expiry(text, datetime.now(UTC))
    except ValueError as error:
        raise ApiError(400, "InvalidRequest", f"expires: {error}.") from None


def _origins(new: NewKey) -> Origins:
    """Return the origins of a key; raise ApiError (400) for a text that is none, or a rule without them."""
    if new.allowed_origins is None:
        if new.kind in BOUND_TO_ORIGINS:
            detail = f"A {new.kind} key is for web pages: name their origins in allowed_origins."
            raise ApiError(400, "InvalidRequest", detail)
        if new.requires_origin:
            raise ApiError(400, "InvalidRequest", "requires_origin needs allowed_origins.")
        return Origins()
    try:
        allowed = tuple(dict.fromkeys(normalized_origin(origin) for origin in new.allowed_origins))
    except ValueError as error:
        raise ApiError(400, "InvalidRequest", f"allowed_origins: {error}") from None
    return Origins(allowed, new.requires_origin)


def _missing(identifier: str) -> ApiError:
    detail = f"There is no valid key {identifier!r}: GET /v1/keys lists the ids."
    return ApiError(404, "UnknownKey", detail)
