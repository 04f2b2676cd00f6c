"""One comparison whose values are known."""

from __future__ import annotations

import operator
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from shared.filters.syntax import RANGES, Operator
from shared.filters.table import IDS, Column, Mask, Table, number_of, tokens_of
from shared.filters.values import is_number

_COMPARE: dict[str, Callable[[Any, Any], Any]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}


@dataclass(frozen=True, slots=True)
class Predicate:
    """A column (by its key) and what it is compared with.

    `any_value` is `*`; `item_keys` are columns of the current item whose values count beside `texts`. A
    missing cell is in no list and in no range, so that NOT IN holds for it; where a value to compare with
    is missing, nothing holds.
    """

    key: str
    operator: Operator
    texts: tuple[str, ...]
    any_value: bool = False
    item_keys: tuple[str, ...] = ()

    def holds(self, value: object) -> bool:
        """Whether one value compares so."""
        if self.operator in RANGES:
            return bool(_COMPARE[self.operator](number_of(value), float(self.texts[0])))
        return self._is_among(value) != (self.operator == "NOT IN")

    def _is_among(self, value: object) -> bool:
        if self.any_value:
            return value is not None
        if isinstance(value, int | float):
            return any(is_number(text) and float(text) == value for text in self.texts)
        return any(token in self.texts for token in tokens_of(value))

    def rows(self, table: Table, row: int | None = None) -> Mask:
        """The rows of a table whose cells compare so; `row` is the current item's."""
        texts: Sequence[str] = self.texts
        for key in self.item_keys:
            theirs = [] if row is None else _texts_of(table.value(row, key))
            if not theirs:
                return np.zeros(len(table), np.bool_)
            texts = [*texts, *theirs]
        column = table.column(self.key)
        if self.operator in RANGES:
            return self._in_range(table, column, texts[0])
        found = np.zeros(len(table), np.bool_)
        if column is None and self.key in IDS:
            found[[table.rows[text] for text in texts if text in table.rows]] = True
        elif column is not None:
            _mark(found, column, texts)
        return ~found if self.operator == "NOT IN" else found

    def _in_range(self, table: Table, column: Column | None, text: str) -> Mask:
        if column is None:
            return np.zeros(len(table), np.bool_)
        found: Mask = _COMPARE[self.operator](column.numbers, number_of(text))
        return found


def _mark(found: Mask, column: Column, texts: Sequence[str]) -> None:
    """Mark the rows whose cell is, or has a token that is, one of the texts."""
    if column.is_number:
        for text in texts:
            if is_number(text):
                found |= column.values == float(text)
        return
    for text in texts:
        rows = column.tokens.get(text)
        if rows is not None:
            found[rows] = True


def _texts_of(value: object) -> list[str]:
    """A cell of the current item as texts; none when it is missing."""
    if isinstance(value, int | float):
        return [] if np.isnan(value) else [repr(float(value))]
    return tokens_of(value)
