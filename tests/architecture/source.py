"""The tree as the architecture tests see it: what git tracks or would track, parsed once."""

from __future__ import annotations

import ast
import gc
import subprocess
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


@cache
def tracked() -> tuple[Path, ...]:
    """Every file of the project, ignored ones left out, relative to the root."""
    listing = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"],
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    return tuple(Path(name) for name in sorted(listing.split("\0")) if name and (ROOT / name).is_file())


def python_files(*folders: str) -> list[Path]:
    return [path for path in tracked() if path.suffix == ".py" and path.parts[0] in folders]


@cache
def parsed(path: Path) -> ast.Module:
    # Python 3.11 fails if the garbage collector runs a finalizer that parses, too: one that logs a traceback.
    gc.disable()
    try:
        return ast.parse((ROOT / path).read_text(), str(path))
    finally:
        gc.enable()


@cache
def nodes(path: Path) -> tuple[ast.AST, ...]:
    """Return every node of a file, in the order of `ast.walk`, which takes longer than most rules."""
    return tuple(ast.walk(parsed(path)))


@cache
def imports(path: Path) -> list[tuple[int, str]]:
    """(line, dotted name) of everything that a module imports."""
    found = []
    for node in nodes(path):
        if isinstance(node, ast.Import):
            found += [(node.lineno, alias.name) for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            found += [(node.lineno, f"{node.module}.{alias.name}") for alias in node.names]
    return found
