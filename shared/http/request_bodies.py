"""Bodies that a route reads itself: within limits, unpacked if gzipped, and documented in OpenAPI."""

from __future__ import annotations

import zlib
from collections.abc import AsyncIterator, Mapping
from functools import cache
from typing import Any

import orjson
from fastapi import Request
from pydantic import BaseModel

from shared.errors import ApiError
from shared.http import READING, UNKNOWN, ReadingBudget, allow_bytes, declared_bytes, too_large

_GZIP_MAGIC = b"\x1f\x8b"
_GZIP_WINDOW = 31
_MOST_MEMBERS = 100  # arbitrary; each costs a copy of the rest, and programs that append to a file make a few


async def read_body(
    request: Request, limit: int, *, unpacked_limit: int | None = None, budget: ReadingBudget = READING
) -> bytes:
    """Return the whole body; ApiError 413 above `limit` bytes as sent, and 503 above the limit of `budget`.

    With `unpacked_limit` a gzipped body is unpacked, whatever its headers say (some SDKs declare nothing).
    It raises ApiError 413 above that many unpacked bytes, and 400 for damaged gzip data.
    """
    allow_bytes(request.scope, limit)
    if limit < declared_bytes(request.scope) < UNKNOWN:
        raise too_large(limit)
    body = await _joined(request.stream(), limit, budget)
    return body if unpacked_limit is None else unpacked(body, unpacked_limit)


async def _joined(stream: AsyncIterator[bytes], limit: int, budget: ReadingBudget) -> bytes:
    chunks: list[bytes] = []
    size = 0
    try:
        async for chunk in stream:
            size += len(chunk)
            budget.take(len(chunk))
            if size > limit:
                raise too_large(limit)
            chunks.append(chunk)
    finally:
        budget.give_back(size)
    return chunks[0] if len(chunks) == 1 else b"".join(chunks)


def unpacked(body: bytes, limit: int) -> bytes:
    """Return a body, with all members of gzip (RFC 1952, section 2.2) unpacked if it begins like gzip.

    Raises ApiError 413 above `limit` unpacked bytes, and 400 for damaged gzip data.
    """
    if not body.startswith(_GZIP_MAGIC):
        return body
    members: list[bytes] = []
    size, rest = 0, body
    while rest:
        unpacker = zlib.decompressobj(wbits=_GZIP_WINDOW)
        at = len(body) - len(rest)
        if not rest.startswith(_GZIP_MAGIC):
            detail = f"The body's gzip data ends at byte {at}, and is followed by other data."
            raise ApiError(400, "InvalidGzip", detail)
        try:
            member = unpacker.decompress(rest, limit - size + 1)
        except zlib.error as error:
            detail = f"The gzipped body is damaged after byte {at}: {error}."
            raise ApiError(400, "InvalidGzip", detail) from None
        size += len(member)
        if size > limit:
            raise too_large(limit)
        if not unpacker.eof:
            raise ApiError(400, "InvalidGzip", "The gzipped body ends too early.")
        members.append(member)
        if len(members) > _MOST_MEMBERS:
            detail = f"The gzipped body has more than {_MOST_MEMBERS} members; pack it as one."
            raise ApiError(400, "InvalidGzip", detail)
        # Zeros after the last member are padding.
        rest = unpacker.unused_data.lstrip(b"\0")
    return members[0] if len(members) == 1 else b"".join(members)


def documented(model: type[BaseModel]) -> dict[str, Any]:
    """Return the OpenAPI `requestBody` of an operation whose route parses the body itself."""
    return {"requestBody": {"required": True, "content": {"application/json": {"schema": _schema(model)}}}}


@cache
def _schema(model: type[BaseModel]) -> dict[str, Any]:
    """Return the JSON Schema of a model without references, which several routes share."""
    schema = model.model_json_schema()
    inlined: dict[str, Any] = _inlined(schema, schema.pop("$defs", {}))
    return inlined


def _inlined(schema: Any, definitions: Mapping[str, Any]) -> Any:
    """Return the schema with its references replaced, since an operation has no place for `$defs`."""
    match schema:
        case {"$ref": str(reference)}:
            return _inlined(definitions[reference.rpartition("/")[2]], definitions)
        case dict():
            return {name: _inlined(value, definitions) for name, value in schema.items()}
        case list():
            return [_inlined(value, definitions) for value in schema]
        case _:
            return schema


def members_with(body: bytes, name: str) -> dict[str, Any] | None:
    """Return the members of a JSON object that has a member `name`; None for any other body.

    It tells the formats of a path apart; a body without the name in quotes is not parsed.
    """
    if b'"%b"' % name.encode() not in body:
        return None
    try:
        document = orjson.loads(body)
    except ValueError:
        return None
    return document if isinstance(document, dict) and name in document else None
