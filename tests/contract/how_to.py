"""The pages in docs/how-to: their code, and the files that they tell a reader to change."""

from __future__ import annotations

import ast
import asyncio
import inspect
import itertools
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from types import ModuleType

from tests.architecture.source import ROOT

FOLDER = Path("docs/how-to")
FILES_HEADER = "| file | change | example |"


def code(page: str) -> list[str]:
    """Return the Python blocks of a page, in their order."""
    return re.findall(r"^```python\n(.*?)^```", (ROOT / FOLDER / page).read_text(), re.MULTILINE | re.DOTALL)


def files(page: str) -> dict[str, str]:
    """Return the files that a page writes out: the content of each block below its path in backticks."""
    text = (ROOT / FOLDER / page).read_text()
    return dict(re.findall(r"^`([\w./]+)`:\n\n```\w+\n(.*?)^```", text, re.MULTILINE | re.DOTALL))


@contextmanager
def installed(page: str, folder: Path) -> Iterator[None]:
    """Let the modules that a page writes out be imported, from copies below `folder`."""
    extended: dict[ModuleType, list[str]] = {}
    for name, content in files(page).items():
        copy = folder / name
        copy.parent.mkdir(parents=True, exist_ok=True)
        copy.write_text(content)
        existing = next(parent for parent in Path(name).parents if (ROOT / parent / "__init__.py").is_file())
        package = import_module(".".join(existing.parts))
        extended.setdefault(package, list(package.__path__))
        package.__path__ = [*extended[package], str(folder / existing)]
    before = set(sys.modules)
    try:
        yield
    finally:
        for package, path in extended.items():
            package.__path__ = path
        for module in set(sys.modules) - before:
            if str(folder) in (getattr(sys.modules[module], "__file__", None) or ""):
                del sys.modules[module]


def named_files(page: str) -> list[str]:
    """Return the first column of the table of files."""
    return [row[0] for row in _rows(page)]


def run(page: str, block: int, **names: object) -> ModuleType:
    """Execute one Python block of a page as a module, in which `names` exist; return the module.

    Raises whatever the code of the page raises.
    """
    module = ModuleType(f"{page.removesuffix('.md').replace('-', '_')}_{block}")
    sys.modules[module.__name__] = module  # pydantic resolves annotations in the module of a class
    module.__dict__.update(names)
    flags = ast.PyCF_ALLOW_TOP_LEVEL_AWAIT
    pending = eval(compile(code(page)[block], str(FOLDER / page), "exec", flags), module.__dict__)
    if inspect.iscoroutine(pending):
        asyncio.run(pending)
    return module


def wrong_files(page: str) -> list[str]:
    """Return the rows of the table of files that are not true: a missing file, or a missing example in it.

    A name with a placeholder, such as `<format>.py`, is a new file in a folder that exists.
    """
    wrong = []
    for name, example in _rows(page):
        path = ROOT / name
        if "<" in name:
            folder = ROOT / name[: name.index("<")]
            exists = (folder if name[name.index("<") - 1] == "/" else folder.parent).is_dir()
        else:
            exists = path.is_file()
        if not exists or (example and example not in path.read_text()):
            wrong.append(f"{name}: {example or 'missing'}")
    return wrong


def _rows(page: str) -> list[tuple[str, str]]:
    """Return file and example of each row of the table of files, without backticks."""
    lines = (ROOT / FOLDER / page).read_text().splitlines()
    table = itertools.takewhile(lambda line: line.startswith("|"), lines[lines.index(FILES_HEADER) + 2 :])
    cells = [[cell.strip().replace("`", "") for cell in line.strip("|").split("|")] for line in table]
    return [(name, example) for name, _, example in cells]
