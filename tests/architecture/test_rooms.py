"""Every service has the same rooms, and no other."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from deploy.local.ports import SERVICES
from tests.architecture.source import ROOT, parsed, python_files, tracked

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
    "analytics": {"computations"},
    "engine": {"commands", "training", "recipes", "personalize", "jobs", "computations", "identity"},
    "recommender": {"serving"},
    "router": {"commands", "statistics"},
    "trainer": {"commands"},
    "dashboard": {"pages", "static", "package", "package-lock"},
}
FORBIDDEN_NAMES = {"utils", "util", "helpers", "common", "base", "types", "constants", "misc", "lib"}
MOST_LINES = 300
CODE = python_files("services", "shared", "deploy", "examples")
TESTS = python_files("tests")


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


def test_files_have_names_of_their_own() -> None:
    assert not [str(path) for path in CODE if path.stem in FORBIDDEN_NAMES]


def test_files_fit_on_a_few_screens() -> None:
    lengths = {str(path): (ROOT / path).read_text().count("\n") for path in [*CODE, *TESTS]}

    too_long = {path: lines for path, lines in lengths.items() if lines > MOST_LINES}

    assert not too_long, f"at most {MOST_LINES} lines: make a folder of nouns, or split tests by subject"


def test_every_module_says_in_its_first_line_what_it_is_for() -> None:
    assert not [str(path) for path in CODE if not ast_docstring(path)]
