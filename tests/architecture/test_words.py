"""Names and docstrings follow docs/glossary.md and CONTRIBUTING.md, as far as a test can tell."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

from tests.architecture.source import nodes, python_files

VAGUE_NAMES = frozenset(
    {
        "again",
        "asked",
        "away",
        "found",
        "given",
        "itself",
        "meant",
        "one",
        "other",
        "others",
        "some",
        "sought",
        "such",
        "them",
        "these",
        "told",
        "wanted",
        "what",
        "who",
        "whose",
    }
)
"""Names that tell the history of a value, or nothing, instead of what it is."""

ARRAY = re.compile(r"NDArray|ndarray|csr_array|csr_matrix|csc_array")
SHAPE = re.compile(r"\b(?:bool|u?int\d*|float\d*|object|str|CSR(?: float\d*)?|dtype)\[[^\]]+\]")


def _checked_files() -> list[Path]:
    paths = python_files("services", "shared", "deploy", "examples", "tests")
    return [path for path in paths if path.parts[0] != "tests" or path.parts[1] in {"support", "load"}]


def _functions(path: Path) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    for node in nodes(path):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node


def _public(path: Path) -> Iterator[tuple[ast.FunctionDef | ast.AsyncFunctionDef, str]]:
    """Yield the public functions of a module with their docstrings, without overrides and setters."""
    for function in _functions(path):
        if not function.name.startswith("_") and not {"override", "setter"} & _decorators(function):
            yield function, ast.get_docstring(function) or ""


def _decorators(function: ast.FunctionDef | ast.AsyncFunctionDef) -> set[str]:
    return {getattr(decorator, "attr", getattr(decorator, "id", "")) for decorator in function.decorator_list}


def _bound_names(path: Path) -> Iterator[tuple[int, str]]:
    for node in nodes(path):
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            yield node.lineno, node.id
        elif isinstance(node, ast.arg):
            yield node.lineno, node.arg
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            yield node.lineno, node.name


def _raised(function: ast.FunctionDef | ast.AsyncFunctionDef) -> set[str]:
    """Return the classes of the exceptions that a function raises itself; nested functions are left out."""
    names, nodes = set(), list(ast.iter_child_nodes(function))
    while nodes:
        node = nodes.pop()
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            continue
        if isinstance(node, ast.Raise) and node.exc is not None:
            callee = node.exc.func if isinstance(node.exc, ast.Call) else node.exc
            names.add(getattr(callee, "attr", getattr(callee, "id", "")))
        nodes += ast.iter_child_nodes(node)
    return {
        name for name in names if name[:1].isupper() and name not in {"NotImplementedError", "AssertionError"}
    }


def test_names_say_what_a_value_is() -> None:
    vague = [
        f"{path}:{line} {name}"
        for path in _checked_files()
        for line, name in _bound_names(path)
        if name.strip("_").lower() in VAGUE_NAMES
    ]

    assert not vague, "\n".join(vague)


def test_docstrings_of_functions_that_return_arrays_state_dtype_and_shape() -> None:
    silent = [
        f"{path}:{function.lineno} {function.name} -> {returned}"
        for path in _checked_files()
        for function, docstring in _public(path)
        if function.returns and not SHAPE.search(docstring)
        if ARRAY.search(returned := ast.unparse(function.returns))
    ]

    assert not silent, "state dtype and shape, such as float32[users, items]:\n" + "\n".join(silent)


def test_docstrings_of_functions_that_raise_name_the_exception() -> None:
    silent = [
        f"{path}:{function.lineno} {function.name}: {', '.join(sorted(missing))}"
        for path in _checked_files()
        for function, docstring in _public(path)
        if (missing := {name for name in _raised(function) if name not in docstring})
    ]

    assert not silent, "\n".join(silent)


def test_docstrings_do_not_open_with_a_question_word() -> None:
    """Docstrings of modules, classes, functions, constants and attributes alike."""
    opening = re.compile(r"\s*(?:How|What|When|Where|Whether|Which|Who|Whose|Why)\b")
    questions = [
        f"{path}:{node.lineno}"
        for path in _checked_files()
        for node in nodes(path)
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
        if isinstance(node.value.value, str) and opening.match(node.value.value)
    ]

    assert not questions, "begin with a noun or a verb:\n" + "\n".join(questions)
