"""The paths that `python -m services.engine` imports when a process or command runs."""

from __future__ import annotations

import re
from importlib import import_module
from pathlib import Path

import pytest

PATHS = re.findall(r'"([\w.]+):(\w+)"', Path("services/engine/__main__.py").read_text())


@pytest.mark.parametrize(("module", "name"), PATHS)
def test_a_path_names_a_function(module: str, name: str) -> None:
    assert callable(getattr(import_module(module), name))


def test_there_are_two_processes_and_six_commands() -> None:
    assert len(PATHS) == 8
