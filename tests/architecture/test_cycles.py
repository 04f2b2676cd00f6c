"""No module imports itself in a circle, at its top or inside of functions."""

from __future__ import annotations

import ast
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

from tests.architecture.source import parsed, python_files


def _module(path: Path) -> str:
    return ".".join(path.with_suffix("").parts).removesuffix(".__init__")


def _is_type_checking(node: ast.AST) -> bool:
    test = node.test if isinstance(node, ast.If) else None
    return getattr(test, "id", getattr(test, "attr", "")) == "TYPE_CHECKING"


def _imported(path: Path, modules: set[str]) -> set[str]:
    """Return the modules of the tree that a module imports when it runs."""
    names, nodes = set[str](), list[ast.AST](parsed(path).body)
    while nodes:
        node = nodes.pop()
        if _is_type_checking(node):
            nodes += node.orelse  # type: ignore[attr-defined]
            continue
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            members = {f"{node.module}.{alias.name}" for alias in node.names}
            names |= members & modules
            names |= {node.module} if members - modules else set()
        nodes += ast.iter_child_nodes(node)
    return (names & modules) - {_module(path)}


def cycle(paths: list[Path]) -> list[str]:
    """Return the modules of one cycle, the first one repeated at the end; an empty list without a cycle."""
    modules = {_module(path): path for path in paths}
    graph = {module: _imported(path, set(modules)) for module, path in modules.items()}
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        circle: list[str] = error.args[1]
        return circle[::-1]
    return []


def test_no_module_imports_itself_in_a_circle() -> None:
    circle = cycle(python_files("shared", "services", "deploy", "examples"))

    assert not circle, " imports ".join(circle)


def test_a_cycle_is_found_behind_an_import_in_a_function(monkeypatch: pytest.MonkeyPatch) -> None:
    top = ast.parse("from shared.b import work")
    hidden = ast.parse("def work():\n    from shared.a import other\n    return other")
    trees = {Path("shared/a.py"): top, Path("shared/b.py"): hidden}
    monkeypatch.setattr("tests.architecture.test_cycles.parsed", trees.__getitem__)

    assert set(cycle(list(trees))) == {"shared.a", "shared.b"}
