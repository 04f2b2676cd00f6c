"""Pages use the terms of the glossary, and each term has one meaning."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

from tests.architecture.source import tracked
from tests.contract.glossary import PAGE, glossary, prose

PAGES = [
    path
    for path in tracked()
    if path.suffix == ".md"
    and (path.parts[0] == "docs" or str(path) in {"README.md", "CONTRIBUTING.md"})
    and path not in {PAGE, Path("docs/operations.md")}  # the second is generated from the code
]


def test_pages_use_no_word_that_the_glossary_replaces() -> None:
    avoided = {word: term.name for table in glossary() for term in table for word in term.avoided}
    words = re.compile(
        r"\b(" + "|".join(map(re.escape, sorted(avoided, key=len, reverse=True))) + r")s?\b", re.IGNORECASE
    )
    wrong = [
        f"{path}: {match[0]!r}, use {avoided[match[1].lower()]!r}"
        for path in PAGES
        for match in words.finditer(prose(path))
    ]

    assert not wrong, "\n".join(wrong)


def test_a_term_is_explained_once_in_a_sentence() -> None:
    terms = [term for table in glossary() for term in table]

    assert len(terms) > 100
    assert [name for name, count in Counter(term.name for term in terms).items() if count > 1] == []
    assert [term.name for term in terms if not re.fullmatch(r"[A-Z`].{10,}\.", term.meaning)] == []


def test_no_word_to_avoid_is_a_term_itself() -> None:
    names = {term.name.lower() for table in glossary() for term in table}
    avoided = [word for table in glossary() for term in table for word in term.avoided]

    assert [word for word in avoided if word.lower() in names or word != word.lower()] == []
    assert [word for word, count in Counter(avoided).items() if count > 1] == []
