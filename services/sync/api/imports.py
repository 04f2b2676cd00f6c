"""Routes of imports: a file is accepted at once, imported by a worker, and every row has its outcome."""

from __future__ import annotations

import csv
import io
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Annotated, Literal

from fastapi import APIRouter, Depends, Path, Query, Request
from fastapi.responses import StreamingResponse

from services.sync.api.responses import Accepted, ImportList, ImportReport
from services.sync.api.upload_form import FORM, parse_form
from services.sync.domain.table import MAX_RAW_CHARACTERS
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
    404: {"model": ErrorBody, "description": "The tenant has no import with this id."},
    413: {"model": ErrorBody, "description": "The file is too large."},
    429: {"model": ErrorBody, "description": "The tenant has too many queued imports."},
}


def imports_router(
    authenticator: Authenticator,
    imports: Imports,
    files: Files,
    *,
    max_upload_bytes: int,
    max_pending_imports: int,
) -> APIRouter:
    """Return the routes of imports."""
    router = APIRouter(prefix="/v1/imports", tags=["imports"], responses=_MORE_ERRORS)
    caller = Depends(authenticator.require("admin", "read", "catalogue"))
    loader = Depends(authenticator.require("catalogue"))

    @router.post("", status_code=202, operation_id="create_import", openapi_extra=FORM)
    async def create_import(request: Request, principal: Principal = loader) -> Accepted:
        """Import a file of orders, items, users or interactions. The import is queued when this responds.

        The columns are detected by the header, or set by a `source`, or by a `mapping` of fields to the
        columns of the file. Sending the same file again changes nothing.
        """
        check_pending(
            await imports.count_pending(principal.own_tenant, max_pending_imports), max_pending_imports
        )
        async with parse_form(request, principal.own_tenant, max_upload_bytes) as (new, file):
            new.bucket = files.data_bucket
            new.object_key = f"{new.tenant}/imports/{new.id}/{new.filename}"
            new.etag = await files.save(new.object_key, file)
        await imports.add(new)
        return Accepted(id=new.id, kind=new.kind, source=new.source or "", status="queued")

    @router.get("", operation_id="list_imports")
    async def list_imports(
        principal: Principal = caller,
        limit: Annotated[int, Query(ge=1, le=500)] = 50,
    ) -> ImportList:
        """Return the newest imports, of posted and uploaded files."""
        rows = await imports.newest(principal.own_tenant, limit)
        return ImportList(imports=[ImportReport.of(import_, relayed=relayed) for import_, relayed in rows])

    @router.get("/{import_id}", operation_id="get_import")
    async def get_import(import_id: ImportId, principal: Principal = caller) -> ImportReport:
        """Return the progress of an import, and the numbers of its rows by outcome."""
        return await _report(imports, principal, import_id)

    @router.get(
        "/{import_id}/rejects",
        operation_id="get_rejects",
        response_class=StreamingResponse,
        responses={410: {"model": ErrorBody, "description": "The rejected rows were deleted."}},
    )
    async def get_rejects(
        import_id: ImportId,
        principal: Principal = caller,
        rows: Annotated[
            Literal["report", "file"], Query(description="file: the rows alone, to mend and send again")
        ] = "report",
    ) -> StreamingResponse:
        """Return the first rejected rows as CSV: the line in the file, the reason, the row and the code.

        The import has the number of rows by reason. A cell that a spreadsheet would take for a formula starts
        with an apostrophe. With `rows=file` it is a file with the header and the rows as they were sent,
        without rows that are longer than 2,000 characters.
        """
        row = await imports.of_tenant(principal.own_tenant, import_id)
        report = await _report(imports, principal, import_id)
        _check_not_deleted(report)
        header = row[0].header if row is not None else None
        is_file = rows == "file" and header is not None
        name = f"{'mend' if is_file else 'rejects'}-{report.id}.csv"
        return StreamingResponse(
            _rejected_file(imports, report, header or "") if is_file else _rejects(imports, report),
            media_type="text/csv; charset=utf-8",
            headers={"Content-Disposition": f'attachment; filename="{name}"'},
        )

    return router


def check_pending(pending: int, limit: int) -> None:
    """Raise ApiError 429 if the tenant has reached its limit of queued and running imports."""
    if pending >= limit:
        detail = f"{limit} imports are queued or running; send this file when some have ended."
        raise ApiError(429, "TooManyImports", detail, retry_after=60)


async def _report(imports: Imports, principal: Principal, import_id: str) -> ImportReport:
    """Return the report of an import. Raises ApiError 404 if the tenant has no such import."""
    row = await imports.of_tenant(principal.own_tenant, import_id)
    if row is None:
        raise ApiError(404, "UnknownImport", f"There is no import {import_id}.")
    import_, relayed = row
    return ImportReport.of(import_, relayed=relayed)


def _check_not_deleted(report: ImportReport) -> None:
    """Raise ApiError 410 if the rejected rows of an import were deleted."""
    if report.rejects_deleted_at is not None:
        deleted_at = report.rejects_deleted_at.isoformat()
        detail = f"The rejected rows of this import were deleted at {deleted_at}."
        raise ApiError(410, "RejectsDeleted", detail)


async def _rejected_file(imports: Imports, report: ImportReport, header: str) -> AsyncIterator[str]:
    yield f"{header}\n"
    async for page in imports.rejects(report.id):
        whole = [row.raw for row in page if len(row.raw) <= MAX_RAW_CHARACTERS]
        yield "".join(f"{raw}\n" for raw in whole)


async def _rejects(imports: Imports, report: ImportReport) -> AsyncIterator[str]:
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(("line", "reason", "raw row", "code"))
    async for page in imports.rejects(report.id):
        writer.writerows((row.line, as_text(row.reason), as_text(row.raw), row.code) for row in page)
        yield text.getvalue()
        text.seek(0)
        text.truncate()
    omitted = report.rows.rejected - report.rejects_kept
    if omitted > 0:
        writer.writerow(("", f"{omitted} more rows were rejected, and are only counted", "", "more"))
    yield text.getvalue()
