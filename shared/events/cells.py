"""Conversion of JSON values to the cells of a dataset's columns, by their Avro types.

The tracker checks properties with it and the engine writes rows with it, so both accept the same values.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

LARGEST_CELL = 3.4028235e38
"""The largest float of 32 bits, which is the range of the Avro type `float`; sums stay finite in 64 bits."""

Cell = str | int | float | bool


def cell_of(value: Any, kind: str) -> Cell:
    """Return a JSON value as a cell of a column of the Avro type `kind` (`string`, `int`, `float` …).

    Numbers and booleans may be texts, and a list of scalars becomes a text with bars between its entries, as
    in a CSV file of Amazon Personalize. Raises ValueError for a value that does not fit; None never fits.
    """
    return _CONVERTERS[kind](value)


def _text(value: Any) -> str:
    if isinstance(value, list):
        return "|".join(text for entry in value if (text := _scalar(entry)))
    return _scalar(value)


def _scalar(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str | int | float):
        return str(value)
    message = "is neither a text nor a number"
    raise ValueError(message)


def _boolean(value: Any) -> bool:
    if isinstance(value, bool):
        return value
    text = value.strip().lower() if isinstance(value, str) else ""
    if text not in {"true", "false"}:
        message = "is neither true nor false"
        raise ValueError(message)
    return text == "true"


def _number(value: Any) -> float:
    try:
        number = math.nan if isinstance(value, bool | list | dict) else float(value)
    except OverflowError:
        number = math.inf
    if not abs(number) <= LARGEST_CELL:
        message = "is not a finite number of 32 bits"
        raise ValueError(message)
    return number


def _integer(bits: int) -> Callable[[Any], int]:
    def convert(value: Any) -> int:
        """Return a whole number of `bits` bits; raises ValueError for anything else."""
        number = _number(value)
        if not number.is_integer():
            message = "is not a whole number"
            raise ValueError(message)
        try:
            # Not int(number): a float has not all digits of a large integer or text.
            whole = int(value)
        except ValueError:  # a text such as 12.0 or 1e3
            whole = int(number)
        if not -(2 ** (bits - 1)) <= whole < 2 ** (bits - 1):
            message = f"is not a whole number of {bits} bits"
            raise ValueError(message)
        return whole

    return convert


_CONVERTERS: dict[str, Callable[[Any], Cell]] = {
    "string": _text,
    "boolean": _boolean,
    "int": _integer(32),
    "long": _integer(64),
    "float": _number,
    "double": _number,
}
