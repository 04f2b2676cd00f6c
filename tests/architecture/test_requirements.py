"""The lock: one file per service and one for development, every package by hash."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

from tests.architecture.source import ROOT

GROUPS = tomllib.loads((ROOT / "pyproject.toml").read_text())["dependency-groups"]
# Programs that tests run in environments of their own, and what only some installations need.
APART = {"aws-cli", "spark", "tracking-clients"}
PIN = re.compile(r"^([a-z0-9._-]+)(?:\[[a-z0-9,._-]+\])?==(\S+)", re.MULTILINE | re.IGNORECASE)


def pins(path: Path) -> dict[str, str]:
    return {match[1].lower(): match[2] for match in PIN.finditer(path.read_text())}


def test_every_group_has_its_lock_and_every_lock_its_group() -> None:
    assert {path.stem for path in (ROOT / "requirements").glob("*.txt")} == set(GROUPS)


@pytest.mark.parametrize("group", sorted(GROUPS.keys() - APART))
def test_a_lock_is_part_of_the_one_resolution(group: str) -> None:
    locked = pins(ROOT / "requirements" / f"{group}.txt")

    assert locked.items() <= pins(ROOT / "requirements" / "dev.txt").items()


@pytest.mark.parametrize("group", sorted(GROUPS))
def test_every_package_is_pinned_by_hash(group: str) -> None:
    text = (ROOT / "requirements" / f"{group}.txt").read_text()
    entries = [entry for entry in re.split(r"\n(?=\S)", text.strip()) if not entry.startswith("#")]

    assert entries
    assert not [entry.splitlines()[0] for entry in entries if "--hash=sha256:" not in entry]


@pytest.mark.parametrize("group", sorted(GROUPS))
def test_what_a_group_asks_for_is_locked(group: str) -> None:
    asked = {re.split(r"[\[<>=]", entry)[0].lower() for entry in GROUPS[group] if isinstance(entry, str)}

    assert asked <= pins(ROOT / "requirements" / f"{group}.txt").keys()
