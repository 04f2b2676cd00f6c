"""JSON documents that may contain invalid JSON."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

Path = tuple[str | int, ...]

EMBEDDED = "the document in a text"
"""The step of a `Path` that leads from a text to the JSON document in it."""


class Raw(str):
    """JSON text that is written as it is, valid or not; a character U+DC80 to U+DCFF is one byte."""

    __slots__ = ()


@dataclass(frozen=True, slots=True)
class Embedded:
    """A text that holds a JSON document, as Personalize's `properties` and `schema` do."""

    document: Any


def json_bytes(document: Any) -> bytes:
    """Return the bytes of the document; lone surrogates are escaped."""
    return json_text(document).encode("utf-8", "surrogateescape")


def json_text(document: Any) -> str:
    """Return the document as text; only `Raw` puts anything but ASCII into it."""
    match document:
        case Raw():
            return str(document)
        case Embedded(inner):
            return json.dumps(json_text(inner))
        case dict():
            members = (f"{json.dumps(str(name))}:{json_text(value)}" for name, value in document.items())
            return "{" + ",".join(members) + "}"
        case list():
            return "[" + ",".join(map(json_text, document)) + "]"
        case _:
            return json.dumps(document)


def paths(document: Any, above: Path = ()) -> Iterator[Path]:
    """Yield the path of every value in the document, first the empty path of the document itself."""
    yield above
    for step, value in _members(document):
        yield from paths(value, (*above, step))


def value_at(document: Any, path: Path) -> Any:
    """Return the value at a path of `paths`."""
    for step in path:
        document = document.document if step == EMBEDDED else document[step]
    return document


def replaced(document: Any, path: Path, value: Any) -> Any:
    """Return the document with another value at the path; the other parts are shared."""
    if not path:
        return value
    step, rest = path[0], path[1:]
    if step == EMBEDDED:
        return Embedded(replaced(document.document, rest, value))
    copy = document.copy()
    copy[step] = replaced(document[step], rest, value)
    return copy


def removed(document: Any, path: Path) -> Any:
    """Return the document without the member or element at the path, which is not the empty one."""
    parent = value_at(document, path[:-1])
    if isinstance(parent, Embedded):
        return replaced(document, path[:-1], "")
    copy = parent.copy()
    del copy[path[-1]]
    return replaced(document, path[:-1], copy)


def _members(document: Any) -> Iterator[tuple[str | int, Any]]:
    match document:
        case Embedded(inner):
            yield EMBEDDED, inner
        case dict():
            yield from document.items()
        case list():
            yield from enumerate(document)
