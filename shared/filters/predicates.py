"""One comparison of a column with values."""

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
    """A column (by its key) and the values that it is compared with.

    `any_value` stands for `*`; `item_keys` are columns of the current item whose values are added to `texts`.
    A missing cell is in no list and in no range, so NOT IN holds for it. If the current item has no value to
    compare with, the predicate holds for no row.
    """

    key: str
    operator: Operator
    texts: tuple[str, ...]
    any_value: bool = False
    item_keys: tuple[str, ...] = ()

    def holds(self, value: object) -> bool:
        """Return whether the predicate holds for one value."""
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
        """Return bool[rows]: where the predicate holds; `row` is that of the current item."""
        texts: Sequence[str] = self.texts
        for key in self.item_keys:
            item_texts = [] if row is None else _texts_of(table.value(row, key))
            if not item_texts:
                return np.zeros(len(table), np.bool_)
            texts = [*texts, *item_texts]
        column = table.column(self.key)
        if self.operator in RANGES:
            return self._in_range(table, column, texts[0])
        matching = np.zeros(len(table), np.bool_)
        if column is None and self.key in IDS:
            matching[[table.rows[text] for text in texts if text in table.rows]] = True
        elif column is not None:
            _mark(matching, column, texts)
        return ~matching if self.operator == "NOT IN" else matching

    def _in_range(self, table: Table, column: Column | None, text: str) -> Mask:
        if column is None:
            return np.zeros(len(table), np.bool_)
        matching: Mask = _COMPARE[self.operator](column.numbers, number_of(text))
        return matching


def _mark(mask: Mask, column: Column, texts: Sequence[str]) -> None:
    """Set the rows of a bool[rows] whose cell equals, or has a token that equals, one of the texts."""
    if column.is_number:
        for text in texts:
            if is_number(text):
                mask |= column.values == float(text)
        return
    for text in texts:
        rows = column.tokens.get(text)
        if rows is not None:
            mask[rows] = True


def _texts_of(value: object) -> list[str]:
    """Return the texts of a cell of the current item; an empty list if it is missing."""
    if isinstance(value, int | float):
        return [] if np.isnan(value) else [repr(float(value))]
    return tokens_of(value)
