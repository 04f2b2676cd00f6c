"""Every service has the same rooms, and no other."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from tests.architecture.source import ROOT, SERVICES, parsed, python_files, tracked

ROOMS = {
    "__init__",
    "__main__",
    "settings",
    "app",
    "handlers",
    "api",
    "worker",
    "relay",
    "schedule",
    "domain",
    "store",
    "metrics",
}
MORE_ROOMS = {
    "engine": {"training", "recipes", "personalize", "jobs", "computations"},
    "recommender": {"serving"},
}
FORBIDDEN_NAMES = {"utils", "util", "helpers", "common", "base", "types", "constants", "misc", "lib"}
MOST_LINES = 300


def _files(service: str) -> list[Path]:
    return [path for path in tracked() if path.parts[:2] == ("services", service)]


@pytest.mark.parametrize("service", SERVICES)
def test_a_service_has_no_room_of_its_own(service: str) -> None:
    allowed = ROOMS | MORE_ROOMS.get(service, set())

    strangers = {
        str(path)
        for path in _files(service)
        if Path(path.parts[2]).stem not in allowed and path.parts[2] not in {"queries.sql", "migrations"}
    }

    assert not strangers


@pytest.mark.parametrize("service", SERVICES)
def test_a_service_has_the_rooms_that_make_it_one(service: str) -> None:
    rooms = {Path(path.parts[2]).stem for path in _files(service)}

    assert {"__init__", "__main__", "settings", "app", "domain", "store", "metrics"} <= rooms


@pytest.mark.parametrize("service", SERVICES)
def test_a_service_says_what_it_is_for(service: str) -> None:
    docstring = ast_docstring(Path("services") / service / "__init__.py")

    for word in ("Owns", "Consumes", "Publishes"):
        assert word in docstring, f"services/{service}/__init__.py says what it {word.lower()}"


def ast_docstring(path: Path) -> str:
    return ast.get_docstring(parsed(path)) or ""


@pytest.mark.parametrize("path", python_files("services", "shared", "deploy"), ids=str)
def test_a_file_is_a_noun_and_fits_on_a_few_screens(path: Path) -> None:
    assert path.stem not in FORBIDDEN_NAMES
    lines = (ROOT / path).read_text().count("\n")
    assert lines <= MOST_LINES, f"{path} has {lines} lines: make it a folder of nouns"


@pytest.mark.parametrize("path", python_files("services", "shared", "deploy"), ids=str)
def test_every_module_says_in_its_first_line_what_it_is_for(path: Path) -> None:
    assert ast_docstring(path), f"{path} needs a docstring"
