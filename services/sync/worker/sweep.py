"""Create an import for each upload: when its notice arrives, or in a sweep if the notice was lost."""

from __future__ import annotations

import uuid
from contextlib import aclosing
from typing import TYPE_CHECKING

import structlog

from services.sync.domain.imports import Import
from services.sync.domain.uploads import Upload, parse_key
from services.sync.metrics import UPLOADS

if TYPE_CHECKING:
    from services.sync.store import Files, Imports

log = structlog.get_logger()


async def add_upload(imports: Imports, bucket: str, upload: Upload) -> bool:
    """Create an import of an uploaded object; return whether one was created.

    None is created for a key that is not an import, for an unknown tenant, or for a version that has one.
    """
    parsed_key = parse_key(upload.key)
    if parsed_key is None:
        UPLOADS.labels("ignored").inc()
        return False
    tenant, kind = parsed_key
    if not await imports.known_tenants([tenant]):
        _warn_unknown_tenant(tenant, upload.key)
        return False
    new = Import(
        id=str(uuid.uuid4()),
        tenant=tenant,
        kind=kind,
        filename=upload.key.rpartition("/")[2],
        origin="upload",
        bucket=bucket,
        object_key=upload.key,
        etag=upload.etag,
        size=upload.size,
        said_at=upload.modified_at,
    )
    added = await imports.add(new)
    UPLOADS.labels("imported" if added else "known").inc()
    if added:
        log.info("sync.upload_found", key=upload.key, import_id=new.id)
    return added


def _warn_unknown_tenant(tenant: str, key: str) -> None:
    UPLOADS.labels("unknown_tenant").inc()
    log.warning(
        "sync.upload_of_unknown_tenant",
        key=key,
        tenant=tenant,
        detail=f"The dataset group {tenant} does not exist: the file is imported once it does.",
    )


class Sweep:
    """Lists all uploads, in case a notice was lost or was not processed."""

    def __init__(self, imports: Imports, files: Files) -> None:
        self._imports = imports
        self._files = files
        self._unknown_tenants: set[str] = set()

    async def sweep(self) -> int:
        """Create the missing imports of all uploaded objects; return how many."""
        added, unknown_tenants, bucket = 0, dict[str, str](), self._files.uploads_bucket
        async with aclosing(self._files.uploads()) as pages:
            async for page in pages:
                keys = {upload: parse_key(upload.key) for upload in page}
                tenants = {upload: key[0] for upload, key in keys.items() if key is not None}
                known = await self._imports.known_tenants(set(tenants.values()))
                unknown_tenants |= {name: upload.key for upload, name in tenants.items() if name not in known}
                of_known = [upload for upload, name in tenants.items() if name in known]
                for upload in await self._imports.uploads_to_import(bucket, of_known):
                    added += await add_upload(self._imports, bucket, upload)
        # Warn once for each unknown tenant, not in every sweep.
        for tenant in unknown_tenants.keys() - self._unknown_tenants:
            _warn_unknown_tenant(tenant, unknown_tenants[tenant])
        self._unknown_tenants = set(unknown_tenants)
        return added
