"""Named SQL statements in `.sql` files; a test prepares each of them against the migrated schema."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_HEADER = re.compile(r"^-- (\w+) --$", re.MULTILINE)
_PARAMETER = re.compile(r"(?<![:\w]):([a-z_][a-z0-9_]*)")


@dataclass(frozen=True, slots=True)
class Statement:
    """One named statement with `$n` placeholders and the names of their parameters."""

    name: str
    about: str
    text: str
    parameters: tuple[str, ...]

    def __call__(self, **values: Any) -> tuple[Any, ...]:
        """Return `(text, *arguments)` for asyncpg; raises TypeError for a missing or unknown name."""
        if values.keys() != set(self.parameters):
            message = f"{self.name} takes {sorted(self.parameters)}, got {sorted(values)}"
            raise TypeError(message)
        return (self.text, *(values[name] for name in self.parameters))


class Statements:
    """The statements of one `.sql` file, by name: `SQL.similar_items(product_id=…)`."""

    def __init__(self, path: Path) -> None:
        """Read the file: `-- name --`, then `-- one sentence.`, then SQL with `:parameters`."""
        parts = _HEADER.split(path.read_text())[1:]
        self._statements = {
            name: _statement(name, body, path) for name, body in zip(parts[::2], parts[1::2], strict=True)
        }

    def __getattr__(self, name: str) -> Statement:
        """Return a statement; raises AttributeError for an unknown name."""
        try:
            return self._statements[name]
        except KeyError:
            raise AttributeError(name) from None

    def __iter__(self) -> Iterator[Statement]:
        """Return an iterator over all statements."""
        return iter(self._statements.values())


def statements(path: Path) -> Statements:
    """Return the statements of a file; raises ValueError for one without a comment."""
    return Statements(path)


def _statement(name: str, body: str, path: Path) -> Statement:
    about, _, sql = body.strip().partition("\n")
    if not about.startswith("-- "):
        message = f"{path}: {name} needs a comment of one line that says what it is for"
        raise ValueError(message)
    names: list[str] = []

    def number(match: re.Match[str]) -> str:
        if match[1] not in names:
            names.append(match[1])
        return f"${names.index(match[1]) + 1}"

    text = _PARAMETER.sub(number, sql.strip().removesuffix(";"))
    return Statement(name, about.removeprefix("-- "), text, tuple(names))
