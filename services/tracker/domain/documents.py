"""Parse JSON bodies so that one value that no event may contain does not reject its neighbours."""

from __future__ import annotations

import json
import math
from typing import Any

import orjson

from shared.errors import Permanent

_MOST_DIGITS = 300
"""Digits of an integer that fits a float. Python itself rejects integers of more than 4,300 digits."""


class InvalidJson(Permanent):
    """A body that is not JSON."""


class NotFinite:
    """A number that JSON cannot represent: NaN, Infinity, 1e400. No field accepts this type."""

    def __init__(self, text: str) -> None:
        self._text = text

    def __repr__(self) -> str:
        return self._text[:40]


def parse_document(body: bytes) -> Any:
    """Return a body as JSON. Raises InvalidJson if it is none.

    One event with half a surrogate pair or a NaN must not reject the whole batch: Python's parser accepts it,
    and validation then rejects that event alone.
    """
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError as error:
        try:
            return json.loads(body, parse_constant=NotFinite, parse_float=_parse_float, parse_int=_parse_int)
        except (ValueError, RecursionError):
            message = f"The body is not valid JSON: {error}."
            raise InvalidJson(message) from None


def _parse_float(text: str) -> float | NotFinite:
    number = float(text)
    return number if math.isfinite(number) else NotFinite(text)


def _parse_int(text: str) -> int | NotFinite:
    return int(text) if len(text) <= _MOST_DIGITS else NotFinite(text)
