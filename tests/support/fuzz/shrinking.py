"""Shrinks a request that has a wrong response."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator
from dataclasses import replace
from typing import Any

from tests.support.fuzz.documents import EMBEDDED, Raw, paths, removed, replaced, value_at
from tests.support.fuzz.requests import Request, Sent

_MAX_TRIALS = 150
_SHORT = 8
"""Texts up to this length are not shortened."""

_NEEDED = frozenset((b"x-api-key", b"x-endcap-tenant", b"authorization", b"x-amz-target"))


async def smallest(request: Request, is_wrong: Callable[[Request], Awaitable[bool]]) -> Request:
    """Return a smaller request for which `is_wrong` still holds; at most 150 are tried."""
    trials = 0
    shorter = True
    while shorter and trials < _MAX_TRIALS:
        shorter = False
        for candidate in _smaller(request):
            trials += 1
            if await is_wrong(candidate):
                request, shorter = candidate, True
                break
            if trials >= _MAX_TRIALS:
                break
    return request


def _smaller(request: Request) -> Iterator[Request]:
    """Yield requests that each lack one part of this one."""
    if request.body is not None:
        yield from (replace(request, body=body) for body in _halves_of_bytes(request.body))
    elif request.encoding != "none":
        yield from (replace(request, document=document) for document in _smaller_documents(request.document))
    for index in range(len(request.query)):
        yield replace(request, query=request.query[:index] + request.query[index + 1 :])
    for index, (name, _) in enumerate(request.headers):
        if name not in _NEEDED:
            yield replace(request, headers=request.headers[:index] + request.headers[index + 1 :])
    for parameter, text in request.in_path.items():
        for part in _halves(text):
            yield replace(request, in_path={**request.in_path, parameter: part})


def _smaller_documents(document: Any) -> Iterator[Any]:
    for path in paths(document):
        value = value_at(document, path)
        if path and path[-1] != EMBEDDED:
            yield removed(document, path)
        if isinstance(value, str):
            for part in _halves(value):
                yield replaced(document, path, part)


def _halves(text: str) -> list[str]:
    if len(text) <= _SHORT:
        return []
    middle = len(text) // 2
    kind = Raw if isinstance(text, Raw) else Sent if isinstance(text, Sent) else str
    return [kind(text[:middle]), kind(text[middle:])]


def _halves_of_bytes(content: bytes) -> list[bytes]:
    middle = len(content) // 2
    return [content[:middle], content[middle:]] if middle else []
