"""The words of a search, as a query of Postgres's text search."""

from __future__ import annotations

import re

MAX_WORDS = 8
"""Words of a search that count. Arbitrary: more than the names of most items have."""

_WORD = re.compile(r"[^\W_]+")


def words_query(text: str) -> str:
    """Return a tsquery: every word of the text begins a word of the item. Empty if the text has no word."""
    words = _WORD.findall(text.lower())[:MAX_WORDS]
    return " & ".join(f"'{word}':*" for word in words)
