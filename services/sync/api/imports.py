"""Routes of imports: a file is accepted at once, imported by a worker, and every row has its outcome."""

from __future__ import annotations

import csv
import io
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Annotated

from fastapi import APIRouter, Depends, Path, Query, Request
from fastapi.responses import StreamingResponse

from services.sync.api.authorization import reader
from services.sync.api.responses import Accepted, ImportList, ImportReport
from services.sync.api.upload_form import FORM, posted
from shared.auth import Principal
from shared.errors import ApiError
from shared.events.values import Name
from shared.http.runtime import ERRORS, ErrorBody
from shared.spreadsheets import as_text

if TYPE_CHECKING:
    from services.sync.store import Files, Imports
    from shared.auth import Authenticator

ImportId = Annotated[Name, Path()]

_MORE_ERRORS = {
    **ERRORS,
    404: {"model": ErrorBody, "description": "No import of this tenant has this id."},
    413: {"model": ErrorBody, "description": "The file is too large."},
    429: {"model": ErrorBody, "description": "Too many imports of this tenant wait already."},
}


def imports_router(
    authenticator: Authenticator,
    imports: Imports,
    files: Files,
    *,
    max_upload_bytes: int,
    max_pending_imports: int,
) -> APIRouter:
    """The routes of imports."""
    router = APIRouter(prefix="/v1/imports", tags=["imports"], responses=_MORE_ERRORS)
    caller = Depends(reader(authenticator, "catalogue"))
    loader = Depends(authenticator.require("catalogue"))

    @router.post("", status_code=202, operation_id="create_import", openapi_extra=FORM)
    async def create_import(request: Request, principal: Principal = loader) -> Accepted:
        """Take a CSV file of orders, items, users or interactions. Its work begins when this answers.

        The columns are recognised by the first line, or named by `source`, or by a `mapping` of our
        fields to the file's columns. Sending the same file again changes nothing.
        """
        if await imports.pending(principal.own_tenant, max_pending_imports) >= max_pending_imports:
            raise ApiError(
                429,
                "TooManyImports",
                f"{max_pending_imports} imports wait or run already; send this file when some have ended.",
                retry_after=60,
            )
        async with posted(request, principal.own_tenant, max_upload_bytes) as (new, file):
            new.bucket = files.data_bucket
            new.object_key = f"{new.tenant}/imports/{new.id}/{new.filename}"
            new.etag = await files.keep(new.object_key, file)
        await imports.add(new)
        return Accepted(id=new.id, kind=new.kind, source=new.source or "", status="queued")

    @router.get("", operation_id="list_imports")
    async def list_imports(
        principal: Principal = caller,
        limit: Annotated[int, Query(ge=1, le=500)] = 50,
    ) -> ImportList:
        """The newest imports, posted and uploaded ones."""
        found = await imports.newest(principal.own_tenant, limit)
        return ImportList(imports=[ImportReport.of(import_, relayed=relayed) for import_, relayed in found])

    async def one(principal: Principal, import_id: str) -> ImportReport:
        found = await imports.of_tenant(principal.own_tenant, import_id)
        if found is None:
            raise ApiError(404, "UnknownImport", f"There is no import {import_id}.")
        import_, relayed = found
        return ImportReport.of(import_, relayed=relayed)

    @router.get("/{import_id}", operation_id="get_import")
    async def get_import(import_id: ImportId, principal: Principal = caller) -> ImportReport:
        """How far an import is, and what became of its rows."""
        return await one(principal, import_id)

    @router.get(
        "/{import_id}/rejects",
        operation_id="get_rejects",
        response_class=StreamingResponse,
        responses={410: {"model": ErrorBody, "description": "The refused rows were deleted."}},
    )
    async def get_rejects(import_id: ImportId, principal: Principal = caller) -> StreamingResponse:
        """The first refused rows as CSV: each with its line in the file, the reason, and the row itself.

        How many there are of each reason says the import. A cell that a spreadsheet would take for a formula
        begins with an apostrophe.
        """
        report = await one(principal, import_id)
        if report.rejects_deleted_at is not None:
            detail = (
                f"The refused rows of this import were deleted at {report.rejects_deleted_at.isoformat()}."
            )
            raise ApiError(410, "RejectsDeleted", detail)
        name = f"rejects-{report.id}.csv"
        return StreamingResponse(
            _rejects(imports, report),
            media_type="text/csv; charset=utf-8",
            headers={"Content-Disposition": f'attachment; filename="{name}"'},
        )

    return router


async def _rejects(imports: Imports, report: ImportReport) -> AsyncIterator[str]:
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(("line", "reason", "raw row", "code"))
    async for page in imports.rejects(report.id):
        writer.writerows((row.line, as_text(row.reason), as_text(row.raw), row.code) for row in page)
        yield text.getvalue()
        text.seek(0)
        text.truncate()
    left_out = report.rows.rejected - report.rejects_kept
    if left_out > 0:
        writer.writerow(("", f"{left_out} more rows were refused, and are only counted", "", "more"))
    yield text.getvalue()
