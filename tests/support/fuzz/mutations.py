"""Changes that make a valid request a bad one, in one place, or sometimes in two."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from random import Random
from typing import Any

from tests.support.fuzz import hostile, hostile_http
from tests.support.fuzz.documents import (
    Embedded,
    Path,
    Raw,
    json_text,
    paths,
    removed,
    replaced,
    value_at,
)
from tests.support.fuzz.requests import CONTENT_TYPES, Request, Sent

Change = Callable[[Request, Random], Request]

_VALID_SHARE = 0.08
_TWO_CHANGES_SHARE = 0.15
_BIG_SHARE = 0.004
_COMMON_SHARE = 0.4
"""The share of values from the few that find most faults."""

_METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")


def mutated(request: Request, random: Random) -> Request:
    """Return the request with a change or two; sometimes without any."""
    if random.random() < _VALID_SHARE:
        return request
    for _ in range(2 if random.random() < _TWO_CHANGES_SHARE else 1):
        changes, weights = zip(*_applicable(request), strict=True)
        [change] = random.choices(changes, weights)
        request = change(request, random)
    return request


def _applicable(request: Request) -> list[tuple[Change, float]]:
    changes: list[tuple[Change, float]] = [
        (_header, 1.0),
        (_credential, 0.25),
        (_method, 0.1),
        (_framing, 0.1),
        (_query, 0.5),
    ]
    if request.encoding != "none" and request.body is None:
        changes += [(_member, 12.0), (_raw_body, 1.0), (_content_type, 0.3), (_chunks, 0.2)]
    if request.in_path:
        changes.append((_in_path, 5.0))
    if request.query:
        changes.append((_in_query, 5.0))
    return changes


def changed_document(document: Any, random: Random) -> tuple[Any, str]:
    """Return the document with a change in one place, and a description of the change."""
    path = random.choice(list(paths(document)))
    value = value_at(document, path)
    where = ".".join(map(str, path)) or "the document"
    kinds = ["replace"] * 6 + ["wrap", "add"]
    if path:
        kinds += ["remove", "twice", "rename"]
    if isinstance(value, list) and value:
        kinds += ["many"] * 2
    kind = random.choice(kinds)
    return _changed(document, path, value, kind, random), f"{kind} {where}"


def _changed(document: Any, path: Path, value: Any, kind: str, random: Random) -> Any:
    match kind:
        case "remove":
            return removed(document, path)
        case "wrap":
            return replaced(document, path, random.choice([[value], {"a": value}, Embedded(value)]))
        case "add" if isinstance(value, dict):
            return replaced(document, path, {**value, hostile_text(random): hostile_value("", random)})
        case "many":
            return replaced(document, path, value * random.choice([11, 26, 101, 501, 2_501]))
        case "twice" | "rename":
            return _renamed(document, path, kind, random)
    return replaced(document, path, hostile_value(value, random))


def _renamed(document: Any, path: Path, kind: str, random: Random) -> Any:
    parent = value_at(document, path[:-1])
    if not isinstance(parent, dict):
        return replaced(document, path, hostile_value("", random))
    if kind == "rename":
        names = {path[-1]: hostile_text(random)}
        return replaced(document, path[:-1], {names.get(name, name): value for name, value in parent.items()})
    pair = f"{json.dumps(str(path[-1]))}:{json_text(hostile_value('', random))}"
    rest = json_text(parent)[1:]
    return replaced(document, path[:-1], Raw(f"{{{pair},{rest}"))


def hostile_text(random: Random) -> str:
    """Return a text that often exposes bugs."""
    drawn = random.random()
    if drawn < _BIG_SHARE:
        return hostile.BIG_TEXT
    return random.choice(hostile.COMMON_TEXTS if drawn < _COMMON_SHARE else hostile.TEXTS)


def hostile_value(instead_of: Any, random: Random) -> Any:
    """Return a value that often exposes bugs, mostly of the type of the value that it replaces."""
    kinds: dict[str, tuple[Any, ...]] = {
        "number": hostile.NUMBERS,
        "shape": hostile.SHAPES,
        "broken": hostile.BROKEN,
    }
    own = (
        "number"
        if isinstance(instead_of, int | float)
        else "text"
        if isinstance(instead_of, str)
        else "shape"
    )
    kind = own if random.random() < 0.6 else random.choice(["text", *kinds])
    if kind == "number" and random.random() < _COMMON_SHARE:
        return random.choice(hostile.COMMON_NUMBERS)
    return hostile_text(random) if kind == "text" else random.choice(kinds[kind])


def _changed_request(request: Request, change: str, **parts: Any) -> Request:
    return replace(request, changes=(*request.changes, change), **parts)


def _member(request: Request, random: Random) -> Request:
    document, change = changed_document(request.document, random)
    return _changed_request(request, change, document=document)


def _raw_body(request: Request, random: Random) -> Request:
    content = request.content
    cut = content[: random.randrange(len(content) + 1)]
    flipped = bytearray(content)
    if flipped:
        flipped[random.randrange(len(flipped))] = random.randrange(256)
    usual = hostile_http.FORMS if request.encoding == "form" else hostile_http.BODIES
    body = random.choice([*usual, cut, bytes(flipped), content + content, content + b"\x00"])
    headers = request.headers
    if request.encoding in CONTENT_TYPES:
        headers = (*headers, (b"content-type", CONTENT_TYPES[request.encoding]))
    return _changed_request(request, "body", body=body, headers=headers)


def _chunks(request: Request, random: Random) -> Request:
    return _changed_request(request, "chunks", is_chunked=True)


def _content_type(request: Request, random: Random) -> Request:
    types = [header for header in hostile_http.HEADERS if header[0] == b"content-type"]
    return _changed_request(request, "content type", headers=(*request.headers, random.choice(types)))


def _header(request: Request, random: Random) -> Request:
    header = random.choice(
        hostile_http.COMMON_HEADERS if random.random() < _COMMON_SHARE else hostile_http.HEADERS
    )
    headers = tuple(known for known in request.headers if known[0] != header[0] or random.random() < 0.3)
    return _changed_request(request, f"header {header[0].decode()}", headers=(*headers, header))


def _credential(request: Request, random: Random) -> Request:
    own = (b"x-api-key", b"authorization")
    headers = tuple(header for header in request.headers if header[0] not in own)
    wrong = random.choice([None, *hostile_http.CREDENTIALS])
    headers = headers if wrong is None else (*headers, wrong)
    return _changed_request(request, "credentials", headers=headers, signer=None)


def _method(request: Request, random: Random) -> Request:
    return _changed_request(request, "method", method=random.choice(_METHODS))


def _framing(request: Request, random: Random) -> Request:
    return _changed_request(request, "framing", framing=random.choice(hostile_http.FRAMING))


def _query(request: Request, random: Random) -> Request:
    return _changed_request(
        request, "query", query=(*request.query, ("", Sent(random.choice(hostile_http.QUERIES))))
    )


def _in_path(request: Request, random: Random) -> Request:
    name = random.choice(list(request.in_path))
    value = _part(random)
    return _changed_request(request, f"path {name}", in_path={**request.in_path, name: value})


def _in_query(request: Request, random: Random) -> Request:
    pairs = list(request.query)
    index = random.randrange(len(pairs))
    name, _ = pairs[index]
    match random.choice(["value"] * 6 + ["twice", "remove"]):
        case "twice":
            pairs.append((name, _part(random)))
        case "remove":
            del pairs[index]
        case _:
            pairs[index] = (name, _part(random))
    return _changed_request(request, f"query {name}", query=tuple(pairs))


def _part(random: Random) -> str:
    if random.random() < 0.3:
        return Sent(random.choice(hostile_http.SEGMENTS))
    text = hostile_text(random)
    return text if text != hostile.BIG_TEXT else hostile.LONG_TEXT
