"""Columns without a field → attributes of items and users, or properties of interactions."""

from __future__ import annotations

from collections import Counter

import orjson

from services.sync.domain.mapping import Layout
from shared.events.fields import MOST_PROPERTY_BYTES

LONGEST_NAME = 2_000
"""Characters of a column's name; a longer one is mostly a row. Arbitrary."""

# Each character of a text is at most six bytes of JSON, and name and value have six more around them.
_BYTES_OF_CHARACTER = 6
_ALWAYS_FITS = MOST_PROPERTY_BYTES // _BYTES_OF_CHARACTER - LONGEST_NAME - 1


def attributes(cells: list[str], layout: Layout, shortened: Counter[str]) -> dict[str, str]:
    """Return the cells that aren't empty, by column; count the columns of those that had to be cut.

    A text is kept up to what PutItems keeps. A column whose name is too long to be one is left out.
    """
    kept: dict[str, str] = {}
    for name, index in layout.others:
        text = cells[index].strip()
        if not text:
            continue
        if len(name) > LONGEST_NAME:
            shortened[name[:LONGEST_NAME]] += 1
            continue
        if len(text) > _ALWAYS_FITS:
            whole, text = text, _fitting(name, text)
            if len(text) < len(whole):
                shortened[name] += 1
        kept[name] = text
    return kept


def _fitting(name: str, text: str) -> str:
    """Return the longest beginning of a text that fits into a property, to a few characters."""
    room = MOST_PROPERTY_BYTES - len(orjson.dumps(name)) - 2
    while (size := len(orjson.dumps(text))) > room:
        text = text[: min(len(text) - 1, len(text) * room // size)]
    return text
