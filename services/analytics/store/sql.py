"""The named statements of analytics, and rows as columns."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from shared.postgres import statements

SQL = statements(Path(__file__).parents[1] / "queries.sql")


def columns(names: str, rows: Iterable[Sequence[Any]]) -> dict[str, list[Any]]:
    """Return rows as one list per name of `names`, which are separated by spaces."""
    listed = names.split()
    transposed = list(zip(*rows, strict=True)) or [()] * len(listed)
    return {name: list(column) for name, column in zip(listed, transposed, strict=True)}
