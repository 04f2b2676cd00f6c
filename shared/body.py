"""Bodies that a route reads itself: within limits, whatever a client sends, and documented all the same."""

from __future__ import annotations

import zlib
from collections.abc import AsyncIterator, Mapping
from typing import Any

from fastapi import Request
from pydantic import BaseModel

from shared.errors import ApiError

_GZIP_MAGIC = b"\x1f\x8b"
_GZIP_WINDOW = 31


async def read_body(request: Request, limit: int, *, unpacked_limit: int | None = None) -> bytes:
    """The whole body; ApiError 413 beyond `limit` bytes on the wire.

    With `unpacked_limit` a gzipped body is unpacked, whether or not its header says so (some SDKs don't
    say), and 413 is also the answer when it grows beyond that.
    """
    declared = request.headers.get("content-length", "")
    if declared.isdigit() and int(declared) > limit:
        raise _too_large(limit)
    body = await _joined(request.stream(), limit)
    if unpacked_limit is not None and body.startswith(_GZIP_MAGIC):
        return _unpacked(body, unpacked_limit)
    return body


async def _joined(stream: AsyncIterator[bytes], limit: int) -> bytes:
    chunks: list[bytes] = []
    size = 0
    async for chunk in stream:
        size += len(chunk)
        if size > limit:
            raise _too_large(limit)
        chunks.append(chunk)
    return chunks[0] if len(chunks) == 1 else b"".join(chunks)


def _unpacked(body: bytes, limit: int) -> bytes:
    unpacker = zlib.decompressobj(wbits=_GZIP_WINDOW)
    try:
        unpacked = unpacker.decompress(body, limit + 1)
    except zlib.error as error:
        detail = f"The body starts like gzip but can't be unpacked: {error}."
        raise ApiError(400, "InvalidGzip", detail) from None
    if len(unpacked) > limit:
        raise _too_large(limit)
    if not unpacker.eof:
        raise ApiError(400, "InvalidGzip", "The gzipped body ends too early.")
    return unpacked


def _too_large(limit: int) -> ApiError:
    return ApiError(413, "TooLarge", f"The body is larger than {limit} bytes; send it in smaller parts.")


def documented(model: type[BaseModel]) -> dict[str, Any]:
    """The part of an OpenAPI operation that says what body it takes, for a route that parses it itself."""
    schema = model.model_json_schema()
    schema = _inlined(schema, schema.pop("$defs", {}))
    return {"requestBody": {"required": True, "content": {"application/json": {"schema": schema}}}}


def _inlined(schema: Any, definitions: Mapping[str, Any]) -> Any:
    """The schema with its references filled in: a single operation has no place for `$defs`."""
    match schema:
        case {"$ref": str(reference)}:
            return _inlined(definitions[reference.rpartition("/")[2]], definitions)
        case dict():
            return {name: _inlined(value, definitions) for name, value in schema.items()}
        case list():
            return [_inlined(value, definitions) for value in schema]
        case _:
            return schema
