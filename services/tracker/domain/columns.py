"""What a dataset's schema says that an item or a user may have: the names and types of its columns."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from shared.events.spellings import field_of, folded

Kind = Literal["item", "user"]


@dataclass(frozen=True, slots=True)
class Column:
    """One column: its name, its Avro type, and whether it may be null."""

    name: str
    type: str
    nullable: bool


@dataclass(frozen=True, slots=True)
class Columns:
    """The columns of a dataset, by what their names mean: `genres` and GENRES are one."""

    kind: Kind
    by_key: Mapping[str, Column]

    @classmethod
    def of(cls, kind: Kind, schema: str) -> Columns:
        """Those of an Avro schema, as the engine has checked it."""
        columns = [_column(field) for field in json.loads(schema)["fields"]]
        return cls(kind, {_key(kind, column.name): column for column in columns})

    def problem(self, said: Mapping[str, Any]) -> str | None:
        """What of an item's or a user's properties the columns can't take; None when all is well.

        What the shop's own state has a field for (a price, a city) may be said without a column.
        """
        for name, value in said.items():
            column = self.by_key.get(_key(self.kind, name))
            if column is None and field_of(self.kind, name) is None:
                names = ", ".join(each.name for each in self.by_key.values())
                return f"{name!r} is no column of the dataset's schema, which has {names}"
            if column is not None and not _fits(value, column):
                return f"{name!r} is {_shown(value)}, and the column {column.name} is of type {column.type}"
        return None


def _column(field: Mapping[str, Any]) -> Column:
    kinds = field["type"] if isinstance(field["type"], list) else [field["type"]]
    return Column(field["name"], next(kind for kind in kinds if kind != "null"), "null" in kinds)


def _key(kind: Kind, name: str) -> str:
    return field_of(kind, name) or folded(name)


def _shown(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 60 else f"{text[:60]}…"


def _fits(value: Any, column: Column) -> bool:
    """Numbers and truths may come as text, as in the guide's examples; several texts as a list."""
    if value is None:
        return column.nullable
    if column.type == "string" and isinstance(value, list):
        return all(isinstance(one, str | int | float) for one in value)
    if not isinstance(value, str | int | float):
        return False
    return _TAKEN[column.type](value)


def _is_number(value: str | float) -> bool:
    try:
        return not isinstance(value, bool) and math.isfinite(float(value))
    except (ValueError, OverflowError):
        return False


def _is_whole(value: str | float) -> bool:
    return _is_number(value) and float(value).is_integer()


def _is_truth(value: str | float) -> bool:
    return isinstance(value, bool) or str(value).lower() in {"true", "false"}


_TAKEN: dict[str, Callable[[str | float], bool]] = {
    "string": lambda _: True,
    "boolean": _is_truth,
    "int": _is_whole,
    "long": _is_whole,
    "float": _is_number,
    "double": _is_number,
}
