"""The route of imports of objects: a file in the object store is imported from there, without a copy."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING

from fastapi import APIRouter, Depends
from pydantic import BaseModel, ConfigDict, Field

from services.sync.api.imports import check_pending
from services.sync.api.responses import ImportedObject
from services.sync.domain.imports import Import
from services.sync.domain.mapping import Kind
from services.sync.domain.object_locations import ObjectLocation, kind_of_file, parse_location
from services.sync.metrics import UPLOADS
from shared.auth import Principal
from shared.errors import ApiError, Permanent
from shared.events.values import Text
from shared.http.runtime import ERRORS, ErrorBody

if TYPE_CHECKING:
    from services.sync.store import Files, Imports
    from services.sync.store.file_places import FilePlaces
    from shared.auth import Authenticator

_MORE_ERRORS = {
    **ERRORS,
    404: {"model": ErrorBody, "description": "There is no such object."},
    429: {"model": ErrorBody, "description": "The tenant has too many queued imports."},
}


class ObjectToImport(BaseModel):
    """A file in the object store."""

    model_config = ConfigDict(extra="forbid")

    location: Text = Field(
        min_length=1,
        max_length=2_000,
        description="`s3://bucket/key` of a .csv or .csv.gz file: in the uploads bucket below the tenant's "
        "own prefix, or in a bucket that an operator allows the tenant",
        examples=["s3://shop-data/exports/interactions.csv"],
    )
    kind: Kind | None = Field(None, description="by default that with which the name of the file begins")


def objects_router(
    authenticator: Authenticator,
    imports: Imports,
    files: Files,
    places: FilePlaces,
    *,
    max_pending_imports: int,
) -> APIRouter:
    """Return the route of imports of objects."""
    router = APIRouter(prefix="/v1/imports/objects", tags=["imports"], responses=_MORE_ERRORS)
    loader = Depends(authenticator.require("catalogue"))

    @router.post("", status_code=202, operation_id="import_object")
    async def import_object(body: ObjectToImport, principal: Principal = loader) -> ImportedObject:
        """Import a file of the object store, which must stay there until the import has ended.

        The same version of the object again is the same import, also if that has failed: put a mended file.
        Only after a failure because a dependency was away is it another import.
        """
        new = await _import(body, principal.own_tenant, files, places)
        existing = await imports.of_object(new)
        if existing is None:
            check_pending(await imports.count_pending(new.tenant, max_pending_imports), max_pending_imports)
            # Another request may have added the same import in the meantime.
            existing = new if await imports.add(new) else await imports.of_object(new)
        assert existing is not None
        UPLOADS.labels("imported" if existing is new else "known").inc()
        return ImportedObject(id=existing.id, kind=existing.kind, status=existing.status)

    return router


async def _import(body: ObjectToImport, tenant: str, files: Files, places: FilePlaces) -> Import:
    """Return the import of the newest version of an object.

    Raises ApiError 400 for what is no file to import, 403 for one that the tenant may not read, 404 for one
    that does not exist.
    """
    location, kind = _checked(body)
    try:
        await places.check_object(tenant, location)
    except Permanent as error:
        raise ApiError(403, "ObjectNotAllowed", str(error)) from error
    try:
        version = await files.version(location.bucket, location.key)
    except Permanent as error:
        raise ApiError(400, "UnreadableObject", str(error)) from error
    if version is None:
        raise ApiError(404, "UnknownObject", f"There is no object {location.uri}.")
    return Import(
        id=str(uuid.uuid4()),
        tenant=tenant,
        kind=kind,
        filename=location.filename,
        origin="upload",
        bucket=location.bucket,
        object_key=location.key,
        etag=version.etag,
        size=version.size,
        said_at=version.modified_at,
    )


def _checked(body: ObjectToImport) -> tuple[ObjectLocation, Kind]:
    """Return the location and the kind of a request. Raises ApiError 400."""
    try:
        location = parse_location(body.location)
        return location, body.kind or kind_of_file(location.filename)
    except Permanent as error:
        raise ApiError(400, "UnusableFile", str(error)) from error
