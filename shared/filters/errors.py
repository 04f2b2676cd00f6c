"""Errors of filters, with the place in the expression."""

from __future__ import annotations

from typing import Self

from shared.errors import Permanent

_EXCERPT = 72  # characters of the expression in a message; they fit into a terminal


class FilterError(Permanent):
    """An invalid filter expression (with its place), or invalid values of a filter's parameters.

    `line` and `column` count from 1.
    """

    def __init__(self, message: str, line: int | None = None, column: int | None = None) -> None:
        super().__init__(message)
        self.line = line
        self.column = column

    @classmethod
    def at(cls, expression: str, offset: int, problem: str) -> Self:
        """Return the error at an offset of the expression, with an excerpt and a caret under the place."""
        before = expression[:offset]
        line = before.count("\n") + 1
        start = before.rfind("\n") + 1
        column = offset - start + 1
        shown = expression[start:].split("\n", 1)[0].replace("\t", " ")
        cut = max(0, column - 1 - _EXCERPT // 2)
        excerpt = shown[cut : cut + _EXCERPT]
        caret = " " * (column - 1 - cut) + "^"
        message = f"The filter expression is wrong at line {line}, column {column}: {problem}"
        return cls(f"{message}\n{excerpt}\n{caret}", line, column)
