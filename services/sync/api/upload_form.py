"""The multipart form of an import, streamed to disk and checked before anything is kept."""

from __future__ import annotations

import re
import uuid
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import IO, Any

from fastapi import Request
from starlette.datastructures import FormData, UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser

from services.sync.domain import builtin_mappings
from services.sync.domain.decompression import Decompressor
from services.sync.domain.imports import Import
from services.sync.domain.limits import HEADER_BYTES
from services.sync.domain.mapping import FILE_FIELDS, KINDS, Kind, Mapping, find_columns
from services.sync.domain.table import Table
from shared.errors import ApiError, Permanent
from shared.http import allow_bytes

_HEAD = 2**16
_MAX_FIELD = 2**18
_UNSAFE = re.compile(r"[^A-Za-z0-9._-]+")


def _columns() -> str:
    """Our columns for each kind, for people who write such files."""
    sentences = []
    for kind, shape in FILE_FIELDS.items():
        rest = ", any other column as an attribute" if shape.keeps_attributes else ""
        sentences.append(
            f"{kind}: {', '.join(shape.required)} are needed; {', '.join(shape.optional)} may be there{rest}."
        )
    return " ".join(sentences)


FORM: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "required": ["file", "kind"],
                    "properties": {
                        "file": {
                            "type": "string",
                            "format": "binary",
                            "description": "CSV with a header, or gzip of it",
                        },
                        "kind": {
                            "type": "string",
                            "enum": list(KINDS),
                            "description": _columns(),
                        },
                        "source": {
                            "type": "string",
                            "description": "a mapping by name; without it the header is recognised",
                            "examples": sorted(builtin_mappings.BUILT_IN),
                        },
                        "mapping": {
                            "type": "string",
                            "description": "JSON, as text or a file: which column is which field; without "
                            "columns and with a built-in source it changes that one",
                            "examples": ['{"columns": {"order_id": "Nr"}, "date_format": "%d.%m.%Y"}'],
                        },
                    },
                }
            }
        },
    }
}


@asynccontextmanager
async def posted(request: Request, tenant: str, most: int) -> AsyncIterator[tuple[Import, IO[bytes]]]:
    """The import that a request asks for, and its file, which is deleted afterwards.

    ApiError 400 when the form or the file's first line can't be used, 413 when the file is too large.
    """
    if not request.headers.get("content-type", "").lower().startswith("multipart/form-data"):
        raise ApiError(400, "InvalidRequest", "Send multipart/form-data with the fields file and kind.")
    parser = MultiPartParser(
        request.headers,
        _limited(request, most),
        max_files=2,
        max_fields=8,
        max_part_size=_MAX_FIELD,
    )
    try:
        form = await parser.parse()
    except MultiPartException as error:
        raise ApiError(400, "InvalidRequest", f"The form can't be read: {error.message}") from error
    try:
        file = form.get("file")
        if not isinstance(file, UploadFile):
            raise ApiError(400, "MissingFile", "The form has no file in the field `file`.")
        new = await _import(form, file, tenant)
        yield new, file.file
    finally:
        await form.close()


async def _import(form: FormData, file: UploadFile, tenant: str) -> Import:
    kind = _kind(form.get("kind"))
    try:
        own = await _own_mapping(form)
        mapping = _usable(kind, own, form.get("source"), await _header_table(file, own))
    except Permanent as error:
        raise ApiError(400, "UnusableFile", str(error)) from error
    return Import(
        id=str(uuid.uuid4()),
        tenant=tenant,
        kind=kind,
        filename=_UNSAFE.sub("-", file.filename or "")[-100:].strip(".-") or f"{kind}.csv",
        origin="request",
        bucket="",
        object_key="",
        etag=None,
        size=file.size or 0,
        said_at=datetime.now(UTC),
        mapping=own.model_dump(mode="json") if own else None,
        source=mapping.source,
    )


def _kind(given: object) -> Kind:
    found = next((kind for kind in KINDS if kind == given), None)
    if found is None:
        detail = f"The field kind is {given!r}; it must be one of {', '.join(KINDS)}."
        raise ApiError(400, "UnknownKind", detail)
    return found


async def _own_mapping(form: FormData) -> Mapping | None:
    given = form.get("mapping")
    if given is None or given == "":
        return None
    document = await given.read() if isinstance(given, UploadFile) else given
    source = form.get("source")
    return builtin_mappings.parse(document, source if isinstance(source, str) else None)


def _usable(kind: Kind, own: Mapping | None, source: object, table: Table) -> Mapping:
    """The mapping for the file, whose first line has what it needs."""
    header = table.header or []
    if own is not None:
        mapping = own
    elif isinstance(source, str) and source:
        mapping = builtin_mappings.by_name(source)
    else:
        mapping = builtin_mappings.detect(kind, header)
    find_columns(mapping, kind, header)
    return mapping


async def _header_table(file: UploadFile, own: Mapping | None) -> Table:
    """Return a table that has read the file's first line; Permanent when that does not come soon."""
    table = Table(own.encoding, own.delimiter) if own else Table()
    unpacker, size = Decompressor(), 0
    try:
        while piece := await file.read(_HEAD):
            for plain in unpacker.feed(piece):
                table.feed(plain)
                if table.header is not None:
                    return table
                size += len(plain)
                if size > HEADER_BYTES:
                    raise Permanent(
                        f"The first {HEADER_BYTES:,} bytes do not name the columns; is this a CSV file?"
                    )
        for plain in unpacker.close():
            table.feed(plain)
        table.close()
    finally:
        await file.seek(0)
    return table


async def _limited(request: Request, most: int) -> AsyncGenerator[bytes, None]:
    allow_bytes(request.scope, most)
    size = 0
    async for piece in request.stream():
        size += len(piece)
        if size > most:
            raise ApiError(413, "TooLarge", f"The file is larger than {most:,} bytes; split it.")
        yield piece
