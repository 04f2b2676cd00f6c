"""Decisions are numbered in order, have all their parts, and are in the index; code cites existing ones."""

from __future__ import annotations

import re

from tests.architecture.source import ROOT, tracked
from tests.contract.decisions import FOLDER, INDEX, SECTIONS, decisions, index

CITATION = re.compile(r"docs/decisions/([\w-]+)|[Dd]ecisions? \[?\d{2,}|\bADR[ -]?\d")
CITING = frozenset({".py", ".sql", ".md", ".yml", ".yaml", ".toml", ".sh"})
MOST = 40
"""Decisions are few: reference belongs to the topic pages."""


def test_decisions_are_numbered_in_order() -> None:
    pages = decisions()

    assert [page.number for page in pages] == list(range(1, len(pages) + 1))
    assert [page.path for page in pages if page.path.name[:4] != f"{page.number:04d}"] == []
    assert len(pages) <= MOST


def test_decisions_have_every_section_in_order() -> None:
    assert [page.path for page in decisions() if page.sections != SECTIONS] == []


def test_a_superseded_decision_names_an_existing_one() -> None:
    numbers = {f"{page.number:04d}" for page in decisions()}

    assert [page.path for page in decisions() if page.successor and page.successor not in numbers] == []


def test_the_index_is_current() -> None:
    assert (ROOT / INDEX).read_bytes() == index(), "run `make contracts` and commit the change"


def test_citations_name_the_file_of_a_decision() -> None:
    titles = {page.path.stem for page in decisions()} | {"README"}
    wrong = [
        f"{path}: {match[0]}"
        for path in tracked()
        if path.suffix in {".py", ".sql", ".md", ".yml", ".yaml", ".toml", ".sh"}
        and path.name != "test_decisions.py"
        for match in CITATION.finditer((ROOT / path).read_text())
        if match[1] not in titles and path.parts[:2] != FOLDER.parts
    ]

    assert not wrong, "cite a decision as docs/decisions/NNNN-subject:\n" + "\n".join(wrong)


def test_every_decision_is_cited_where_it_binds() -> None:
    cited = {
        match[1]
        for path in tracked()
        if path.suffix in CITING - {".md"}
        for match in CITATION.finditer((ROOT / path).read_text())
    }

    assert [page.path.stem for page in decisions() if page.path.stem not in cited] == []
