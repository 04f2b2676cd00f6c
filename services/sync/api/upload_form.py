"""The multipart form of an import, which is streamed to disk and validated before it is stored."""

from __future__ import annotations

import asyncio
import os
import re
import tempfile
import uuid
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import IO, Any, BinaryIO, cast

from fastapi import Request
from starlette.datastructures import FormData, UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser

from services.sync.domain import builtin_mappings
from services.sync.domain.decompression import Decompressor
from services.sync.domain.imports import Import
from services.sync.domain.json_lines import as_csv
from services.sync.domain.limits import HEADER_BYTES
from services.sync.domain.mapping import FILE_FIELDS, KINDS, Kind, Mapping, find_columns
from services.sync.domain.table import Table
from shared.errors import ApiError, Permanent
from shared.http import allow_bytes

_HEAD = 2**16
_MAX_FIELD = 2**18
_UNSAFE = re.compile(r"[^A-Za-z0-9._-]+")


def _columns() -> str:
    """Return the description of the columns of each kind of file."""
    sentences = []
    for kind, fields in FILE_FIELDS.items():
        attributes = "; any other column is an attribute" if fields.keeps_attributes else ""
        required, optional = ", ".join(fields.required), ", ".join(fields.optional)
        sentences.append(f"{kind}: {required} are required; {optional} are optional{attributes}.")
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
                            "description": "CSV with a header, or JSON Lines; or gzip of either",
                        },
                        "kind": {
                            "type": "string",
                            "enum": list(KINDS),
                            "description": _columns(),
                        },
                        "source": {
                            "type": "string",
                            "description": "name of a mapping; by default it is detected by the header",
                            "examples": sorted(builtin_mappings.BUILT_IN),
                        },
                        "mapping": {
                            "type": "string",
                            "description": "JSON, as text or a file: which column is which field; without "
                            "columns and with a built-in source it overrides members of that mapping",
                            "examples": ['{"columns": {"order_id": "Nr"}, "date_format": "%d.%m.%Y"}'],
                        },
                    },
                }
            }
        },
    }
}


@asynccontextmanager
async def parse_form(
    request: Request, tenant: str, max_bytes: int
) -> AsyncIterator[tuple[Import, IO[bytes]]]:
    """Yield the import of a request and its file, which is deleted afterwards.

    Raises ApiError 400 if the form or the file's header is invalid, 413 if the file is too large.
    """
    if not request.headers.get("content-type", "").lower().startswith("multipart/form-data"):
        raise ApiError(400, "InvalidRequest", "Send multipart/form-data with the fields file and kind.")
    parser = MultiPartParser(
        request.headers,
        _stream(request, max_bytes),
        max_files=2,
        max_fields=8,
        max_part_size=_MAX_FIELD,
    )
    try:
        form = await parser.parse()
    except MultiPartException as error:
        raise ApiError(400, "InvalidRequest", f"The form is not valid: {error.message}") from error
    try:
        file = form.get("file")
        if not isinstance(file, UploadFile):
            raise ApiError(400, "MissingFile", "The form has no file in the field `file`.")
        with tempfile.TemporaryFile() as converted:
            file = await _as_csv(file, converted, max_bytes)
            yield await _import(form, file, tenant), file.file
    finally:
        await form.close()


async def _as_csv(file: UploadFile, converted: IO[bytes], max_bytes: int) -> UploadFile:
    """Return the file, or JSON Lines as CSV. Raises ApiError 400 if they can't be converted."""
    try:
        content = await asyncio.to_thread(as_csv, file.file, converted, max_bytes)
    except Permanent as error:
        raise ApiError(400, "UnusableFile", str(error)) from error
    if content is file.file:
        return file
    size = content.seek(0, os.SEEK_END)
    content.seek(0)
    return UploadFile(cast("BinaryIO", content), size=size, filename=file.filename)


async def _import(form: FormData, file: UploadFile, tenant: str) -> Import:
    """Return the import of a form. Raises ApiError 400."""
    kind = _kind(form.get("kind"))
    try:
        own = await _own_mapping(form)
        mapping = _choose_mapping(kind, own, form.get("source"), await _header_table(file, own))
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


def _kind(value: object) -> Kind:
    """Return the kind of file. Raises ApiError 400 for an unknown one."""
    kind = next((kind for kind in KINDS if kind == value), None)
    if kind is None:
        detail = f"The field kind is {value!r}; it must be one of {', '.join(KINDS)}."
        raise ApiError(400, "UnknownKind", detail)
    return kind


async def _own_mapping(form: FormData) -> Mapping | None:
    field = form.get("mapping")
    if field is None or field == "":
        return None
    document = await field.read() if isinstance(field, UploadFile) else field
    source = form.get("source")
    return builtin_mappings.parse(document, source if isinstance(source, str) else None)


def _choose_mapping(kind: Kind, own: Mapping | None, source: object, table: Table) -> Mapping:
    """Return the mapping for the file. Raises Permanent if the header lacks required columns."""
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
    """Return a table that has read the file's header. Raises Permanent if there is none in `HEADER_BYTES`."""
    table = Table(own.encoding, own.delimiter) if own else Table()
    decompressor, size = Decompressor(), 0
    try:
        while piece := await file.read(_HEAD):
            for plain in decompressor.feed(piece):
                table.feed(plain)
                if table.header is not None:
                    return table
                size += len(plain)
                if size > HEADER_BYTES:
                    raise Permanent(
                        f"The first {HEADER_BYTES:,} bytes do not name the columns; is this a CSV file?"
                    )
        for plain in decompressor.close():
            table.feed(plain)
        table.close()
    finally:
        await file.seek(0)
    return table


async def _stream(request: Request, max_bytes: int) -> AsyncGenerator[bytes, None]:
    """Yield the body of a request. Raises ApiError 413 beyond `max_bytes`."""
    allow_bytes(request.scope, max_bytes)
    size = 0
    async for piece in request.stream():
        size += len(piece)
        if size > max_bytes:
            raise ApiError(413, "TooLarge", f"The file is larger than {max_bytes:,} bytes; split it.")
        yield piece
