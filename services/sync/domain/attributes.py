"""Convert columns without a field into attributes of items and users, or properties of interactions."""

from __future__ import annotations

from collections import Counter

import orjson

from services.sync.domain.mapping import Layout
from shared.events.fields import MOST_PROPERTY_BYTES

LONGEST_NAME = 2_000
"""Characters of a column's name; a longer name is probably a row. Arbitrary."""

# A character has at most six bytes in JSON, and the punctuation around name and value has six more.
_BYTES_OF_CHARACTER = 6
_ALWAYS_FITS = MOST_PROPERTY_BYTES // _BYTES_OF_CHARACTER - LONGEST_NAME - 1


def attributes(cells: list[str], layout: Layout, shortened: Counter[str]) -> dict[str, str]:
    """Return the cells that are not empty, by column, and count shortened cells by column in `shortened`.

    A text is cut to the size of a property in PutItems. A column with a name that is too long is omitted.
    """
    kept: dict[str, str] = {}
    for name, index in layout.attribute_columns:
        text = cells[index].strip()
        if not text:
            continue
        if len(name) > LONGEST_NAME:
            shortened[name[:LONGEST_NAME]] += 1
            continue
        if len(text) > _ALWAYS_FITS:
            length, text = len(text), _truncate(name, text)
            if len(text) < length:
                shortened[name] += 1
        kept[name] = text
    return kept


def _truncate(name: str, text: str) -> str:
    """Return the text, cut so that it fits into a property; it may be a few characters too short."""
    max_bytes = MOST_PROPERTY_BYTES - len(orjson.dumps(name)) - 2
    while (size := len(orjson.dumps(text))) > max_bytes:
        text = text[: min(len(text) - 1, len(text) * max_bytes // size)]
    return text
