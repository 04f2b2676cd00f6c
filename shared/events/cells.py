"""The types of a dataset's columns: which JSON values fit, and what they are as a cell.

Used where a property is accepted (the tracker) and where a dataset's rows are written (the engine), so that
neither loses what the other accepts.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

LARGEST_CELL = 3.4028235e38
"""The largest float of 32 bits: the type `float` of a schema holds no more, and sums of such numbers stay
finite in 64 bits."""

Cell = str | int | float | bool


def cell_of(value: Any, kind: str) -> Cell:
    """Return a JSON value as a cell of a column of an Avro type (`string`, `int`, `float` …).

    Numbers and booleans may come as text, and a list of scalars is a text with bars between its entries, as
    in a CSV file of Amazon Personalize. Raises ValueError for a value that does not fit; None never does.
    """
    return _READERS[kind](value)


def _text(value: Any) -> str:
    if isinstance(value, list):
        return "|".join(text for one in value if (text := _scalar(one)))
    return _scalar(value)


def _scalar(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str | int | float):
        return str(value)
    message = "is neither a text nor a number"
    raise ValueError(message)


def _truth(value: Any) -> bool:
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
        message = "is no finite number of 32 bits"
        raise ValueError(message)
    return number


def _whole(bits: int) -> Callable[[Any], int]:
    def read(value: Any) -> int:
        number = _number(value)
        if not number.is_integer():
            message = "is no whole number"
            raise ValueError(message)
        try:
            # Of a float all that it has; of anything else all its digits, which a float may lack.
            whole = int(value)
        except ValueError:  # a text such as 12.0 or 1e3
            whole = int(number)
        if not -(2 ** (bits - 1)) <= whole < 2 ** (bits - 1):
            message = f"is no whole number of {bits} bits"
            raise ValueError(message)
        return whole

    return read


_READERS: dict[str, Callable[[Any], Cell]] = {
    "string": _text,
    "boolean": _truth,
    "int": _whole(32),
    "long": _whole(64),
    "float": _number,
    "double": _number,
}
