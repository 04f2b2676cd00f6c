"""The terms of docs/glossary.md, and prose without its code."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from tests.architecture.source import ROOT

PAGE = Path("docs/glossary.md")

_HEADER = "| term | meaning | do not use |"
_CODE = re.compile(r"^```.*?^```|`[^`\n]*`|\]\([^)]*\)|https?://\S+", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True)
class Term:
    """One row of the glossary."""

    name: str
    meaning: str
    avoided: tuple[str, ...]
    """The words that must not stand for this term."""


def glossary() -> list[list[Term]]:
    """Return the tables of the page, each with its terms in their order.

    Raises ValueError: a row of a table does not have three cells.
    """
    tables: list[list[Term]] = []
    inside = False
    for line in (ROOT / PAGE).read_text().splitlines():
        if line == _HEADER:
            tables.append([])
        elif inside and line.startswith("| "):
            tables[-1].append(_term(line))
        inside = line.startswith("|") and bool(tables)
    return tables


def prose(path: Path) -> str:
    """Return the text of a Markdown page without code blocks, code spans and addresses."""
    return _CODE.sub(" ", (ROOT / path).read_text())


def _term(line: str) -> Term:
    cells = [cell.strip() for cell in line.strip("|").split("|")]
    if len(cells) != 3:
        message = f"a row of {PAGE} has three cells: {line}"
        raise ValueError(message)
    return Term(cells[0], cells[1], tuple(word.strip() for word in cells[2].split(",") if word.strip()))
