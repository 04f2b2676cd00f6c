"""Words of a search become a query that Postgres can parse, whatever a visitor types."""

from __future__ import annotations

import pytest

from services.sync.domain.search_words import MAX_WORDS, words_query


@pytest.mark.parametrize(
    ("text", "query"),
    [
        ("Copper kettle", "'copper':* & 'kettle':*"),
        ("tea-pot, 2 l", "'tea':* & 'pot':* & '2':* & 'l':*"),
        ("é'); DROP TABLE items; --", "'é':* & 'drop':* & 'table':* & 'items':*"),
        ("a_b", "'a':* & 'b':*"),
        (" &|!:*' ", ""),
    ],
)
def test_every_word_is_a_prefix(text: str, query: str) -> None:
    assert words_query(text) == query


def test_only_the_first_words_count() -> None:
    assert words_query("w " * 100).count("w") == MAX_WORDS
