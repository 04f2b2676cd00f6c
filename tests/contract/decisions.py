"""The pages in docs/decisions: their parts, and the index that is generated from them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from tests.architecture.source import ROOT

FOLDER = Path("docs/decisions")
INDEX = FOLDER / "README.md"
SECTIONS = ("Context", "Decision", "Consequences", "Alternatives", "What would reopen it")

_PAGE = re.compile(
    r"# (?P<number>\d+)\. (?P<title>[^\n]+)\n\n"
    r"- Status: (?P<status>accepted|superseded by (?P<successor>\d{4}))\n"
    r"- Date: (?P<date>20\d\d-[01]\d-[0-3]\d)\n\n"
)
_INTRODUCTION = """# Decisions

Why Endcap is built the way it is. `make contracts` writes this index from the pages of the folder.
Code that a decision binds cites the path of its page.

| number | title | status | date |
|---|---|---|---|
"""


@dataclass(frozen=True)
class Decision:
    """The header of one page."""

    path: Path
    """Relative to the root of the project."""

    number: int
    title: str
    status: str
    successor: str | None
    """The four digits of the decision that supersedes this one."""

    date: str
    """The day as YYYY-MM-DD."""

    sections: tuple[str, ...]
    """The headings of level two, in their order."""


def decisions() -> list[Decision]:
    """Return the decisions in the order of their numbers.

    Raises ValueError: a page does not begin with title, status and date.
    """
    pages = sorted((ROOT / FOLDER).glob("[0-9]*.md"))
    return [_parse(path.relative_to(ROOT), path.read_text()) for path in pages]


def index() -> bytes:
    """Return the content of the index page."""
    rows = [
        f"| {page.number:04d} | [{page.title}]({page.path.name}) | {page.status} | {page.date} |\n"
        for page in decisions()
    ]
    return (_INTRODUCTION + "".join(rows)).encode()


def _parse(path: Path, text: str) -> Decision:
    header = _PAGE.match(text)
    if header is None:
        message = f"{path} must begin with '# N. Title', '- Status: …' and '- Date: YYYY-MM-DD'"
        raise ValueError(message)
    return Decision(
        path,
        int(header["number"]),
        header["title"],
        header["status"],
        header["successor"],
        header["date"],
        tuple(re.findall(r"^## (.+)$", text, re.MULTILINE)),
    )
