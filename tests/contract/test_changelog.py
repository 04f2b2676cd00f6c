"""The change log has releases, newest first, whose sections hold one line for each change."""

from __future__ import annotations

import re
import tomllib

from shared.http.runtime import VERSION
from tests.architecture.source import ROOT

RELEASE = re.compile(r"## \[(?P<version>\d+\.\d+\.\d+)\] - (?P<date>20\d\d-[01]\d-[0-3]\d)")
SECTIONS = ("Added", "Changed", "Fixed", "Security")
MOST_CHARACTERS = 140

LINES = (ROOT / "CHANGELOG.md").read_text().splitlines()
HEADINGS = [line for line in LINES if line.startswith("## ")]


def test_unreleased_changes_are_on_top_and_releases_follow_newest_first() -> None:
    releases = [RELEASE.fullmatch(heading) for heading in HEADINGS[1:]]
    versions = [tuple(map(int, release["version"].split("."))) for release in releases if release]
    dates = [release["date"] for release in releases if release]

    assert HEADINGS[0] == "## [Unreleased]"
    assert None not in releases
    assert versions == sorted(set(versions), reverse=True)
    assert dates == sorted(dates, reverse=True)


def test_sections_have_standard_names_in_order() -> None:
    text = "\n".join(LINES)
    for release in text.split("\n## ")[1:]:
        sections = re.findall(r"^### (.+)$", release, re.MULTILINE)

        assert sections == [name for name in SECTIONS if name in sections], release.splitlines()[0]


def test_each_change_is_one_sentence_on_one_line() -> None:
    body = LINES[LINES.index("## [Unreleased]") :]
    changes = [line for line in body if line.startswith("-")]
    rest = [line for line in body if line and not line.startswith(("- ", "#"))]

    assert [line for line in changes if not re.fullmatch(r"- [\w`<].*\.", line)] == []
    assert [line for line in changes if len(line) > MOST_CHARACTERS] == []
    assert len(rest) <= len(HEADINGS), rest


def test_the_newest_release_is_the_version_of_the_code() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    newest = RELEASE.fullmatch(HEADINGS[1])

    assert newest is not None
    assert newest["version"] == project["version"] == VERSION
