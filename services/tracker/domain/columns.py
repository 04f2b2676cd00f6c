"""What a dataset's schema says that an item or a user may have: the names and types of its columns."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal, NamedTuple

from shared.errors import Permanent
from shared.events.cells import cell_of
from shared.events.fields import field_value, item_fields, user_fields
from shared.events.spellings import columns_of_fields, field_of, folded

Kind = Literal["item", "user"]


class Record(NamedTuple):
    """What one put says: values of the shop's own fields, and the cells of columns that no field holds.

    Both are JSON: a time is ISO 8601. Every field's value is one that `shared.events.fields` accepts.
    """

    fields: dict[str, Any]
    columns: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Column:
    """One column: its name, its Avro type, whether it may be null, and the field that it stands for."""

    name: str
    type: str
    nullable: bool
    field: str | None = None


@dataclass(frozen=True, slots=True)
class Columns:
    """The columns of a dataset: by their folded names, and by the fields that they stand for."""

    kind: Kind
    by_name: Mapping[str, Column]
    by_field: Mapping[str, Column]

    @classmethod
    def of(cls, kind: Kind, schema: str) -> Columns:
        """Return those of an Avro schema, as the engine has checked it."""
        described = json.loads(schema)["fields"]
        fields = {
            name: field for field, name in columns_of_fields(kind, (f["name"] for f in described)).items()
        }
        columns = [_column(one, fields.get(one["name"])) for one in described]
        return cls(
            kind,
            {folded(column.name): column for column in columns},
            {column.field: column for column in columns if column.field},
        )

    def record(self, properties: Mapping[str, Any]) -> Record:
        """Return the properties of an item or a user as a record of the dataset.

        A value that fits its column is kept as that column. It also becomes the shop's own field (a price, a
        city) where it converts, and then is a column of its own only if the field would not give it back. A
        field may come without a column. Availability is the shop's alone: a column does not change it.
        A value that fits the field alone must give a cell of the column. Raises Permanent for a property that
        fits neither a column nor a field.
        """
        fields: dict[str, Any] = {}
        columns: dict[str, tuple[str, Any]] = {}
        for name, value in properties.items():
            column = self._column_of(name)
            if column is None:
                fields |= self._field_alone(name, value)
                continue
            # Of two spellings of a column the last holds.
            columns.pop(column.name, None)
            fields.pop(column.field or "", None)
            cell = _cell(name, value, column)
            field = _field(name, value if cell is _NO_CELL else cell, column)
            if field is not _NO_FIELD and column.field is not None:
                fields[column.field] = field
            if cell is _NO_CELL and _cell_of_field(field, column) is _NO_CELL:
                raise Permanent(
                    f"{name!r} is {_shown(value)}, and the column {column.name} is of type {column.type}"
                )
            if cell is not _NO_CELL and (field is _NO_FIELD or not _gives_back(field, cell, column)):
                columns[column.name] = name, cell
        return Record(fields, dict(columns.values()))

    def _column_of(self, name: str) -> Column | None:
        column = self.by_name.get(folded(name))
        return column or self.by_field.get(field_of(self.kind, name) or "")

    def _field_alone(self, name: str, value: Any) -> dict[str, Any]:
        """Return the field that a property without a column sets; Permanent when it is none."""
        field = field_of(self.kind, name)
        if field is None:
            names = ", ".join(column.name for column in self.by_name.values())
            raise Permanent(f"{name!r} is no column of the dataset's schema, which has {names}")
        if value is None and field == "available":
            return {}
        return {field: _as_json(field_value(field, value, name))}


def without_schema(kind: Kind, properties: Mapping[str, Any]) -> Record:
    """Return the properties as a record of a dataset whose columns say nothing of what may be put.

    Raises Permanent for a value that can't be its field's.
    """
    fields, attributes = (item_fields if kind == "item" else user_fields)(properties)
    return Record({name: _as_json(value) for name, value in fields.items()}, attributes)


_NO_CELL: Any = object()
_NO_FIELD: Any = object()


def _column(described: Mapping[str, Any], field: str | None) -> Column:
    kinds = described["type"] if isinstance(described["type"], list) else [described["type"]]
    return Column(described["name"], next(kind for kind in kinds if kind != "null"), "null" in kinds, field)


def _cell(name: str, value: Any, column: Column) -> Any:
    """Return the value as the column's cell, None for null, or `_NO_CELL` when it is none."""
    if value is None:
        if not column.nullable:
            raise Permanent(f"{name!r} is null, and the column {column.name} is not nullable")
        return None
    try:
        return cell_of(value, column.type)
    except ValueError:
        return _NO_CELL


def _field(name: str, value: Any, column: Column) -> Any:
    """Return the value as the field that the column stands for, or `_NO_FIELD` when it does not convert."""
    if column.field is None or column.field == "available":
        return _NO_FIELD
    try:
        return _as_json(field_value(column.field, value, name))
    except Permanent:
        return _NO_FIELD


def _gives_back(field: Any, cell: Any, column: Column) -> bool:
    """Return whether the engine would read the same cell from the field."""
    return field is cell if field is None or cell is None else bool(_cell_of_field(field, column) == cell)


def _cell_of_field(field: Any, column: Column) -> Any:
    """Return the cell that the engine reads from a value of the field, or `_NO_CELL`."""
    if field is _NO_FIELD or field is None:
        return _NO_CELL
    if column.field == "created_at":
        field = int(datetime.fromisoformat(field).timestamp())
    try:
        return cell_of(field, column.type)
    except ValueError:
        return _NO_CELL


def _as_json(value: Any) -> Any:
    return value.isoformat() if isinstance(value, datetime) else value


def _shown(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 60 else f"{text[:60]}…"
