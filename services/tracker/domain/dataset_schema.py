"""The schema of an items or users dataset: its columns, and how properties become values of them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal, NamedTuple

from shared.errors import Permanent
from shared.events.cells import cell_of
from shared.events.field_aliases import columns_of_fields, field_of, normalized_name
from shared.events.fields import field_value, item_fields, user_fields

Kind = Literal["item", "user"]


class Record(NamedTuple):
    """The content of one put: values of the shop's own fields, and values of columns without a field.

    Both are JSON; a time is ISO 8601. Every field value is accepted by `shared.events.fields`.
    """

    fields: dict[str, Any]
    columns: dict[str, Any]


@dataclass(frozen=True, slots=True)
class SchemaColumn:
    """A column: its name, its Avro type, whether it may be null, and the shop's field that it maps to."""

    name: str
    type: str
    nullable: bool
    field: str | None = None


@dataclass(frozen=True, slots=True)
class DatasetSchema:
    """The columns of a dataset, by their normalized names and by the fields that they map to."""

    kind: Kind
    by_name: Mapping[str, SchemaColumn]
    by_field: Mapping[str, SchemaColumn]

    @classmethod
    def parse(cls, kind: Kind, schema: str) -> DatasetSchema:
        """Return the columns of an Avro schema in JSON, which the engine has validated."""
        described = json.loads(schema)["fields"]
        fields = {
            name: field for field, name in columns_of_fields(kind, (f["name"] for f in described)).items()
        }
        columns = [_column(column, fields.get(column["name"])) for column in described]
        return cls(
            kind,
            {normalized_name(column.name): column for column in columns},
            {column.field: column for column in columns if column.field},
        )

    def record(self, properties: Mapping[str, Any]) -> Record:
        """Return the record of an item or user with these properties.

        A value that fits its column is stored in that column. If it also converts to the shop's field (a
        price, a city), it is stored in the field, and in the column only if the field cannot be converted
        back to it. A property may name a field without a column. A column does not change the availability,
        which only the shop sets. Raises Permanent for a property that fits neither a column nor a field.
        """
        fields: dict[str, Any] = {}
        columns: dict[str, tuple[str, Any]] = {}
        for name, value in properties.items():
            column = self._column_of(name)
            if column is None:
                fields |= self._field_without_column(name, value)
                continue
            # Of two spellings of one column the last one wins.
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
            if cell is not _NO_CELL and (field is _NO_FIELD or not _converts_back(field, cell, column)):
                columns[column.name] = name, cell
        return Record(fields, dict(columns.values()))

    def _column_of(self, name: str) -> SchemaColumn | None:
        column = self.by_name.get(normalized_name(name))
        return column or self.by_field.get(field_of(self.kind, name) or "")

    def _field_without_column(self, name: str, value: Any) -> dict[str, Any]:
        """Return the field that a property without a column sets. Raises Permanent if there is none."""
        field = field_of(self.kind, name)
        if field is None:
            names = ", ".join(column.name for column in self.by_name.values())
            raise Permanent(f"{name!r} is not a column of the dataset's schema, which has {names}")
        if value is None and field == "available":
            return {}
        return {field: _as_json(field_value(field, value, name))}


def record_without_schema(kind: Kind, properties: Mapping[str, Any]) -> Record:
    """Return the record of an item or user in a dataset without a schema.

    Raises Permanent for a value that is not valid for its field.
    """
    fields, attributes = (item_fields if kind == "item" else user_fields)(properties)
    return Record({name: _as_json(value) for name, value in fields.items()}, attributes)


_NO_CELL: Any = object()
_NO_FIELD: Any = object()


def _column(described: Mapping[str, Any], field: str | None) -> SchemaColumn:
    types = described["type"] if isinstance(described["type"], list) else [described["type"]]
    column_type = next(name for name in types if name != "null")
    return SchemaColumn(described["name"], column_type, "null" in types, field)


def _cell(name: str, value: Any, column: SchemaColumn) -> Any:
    """Return the value of the column, None for null, or `_NO_CELL` when the type does not fit.

    Raises Permanent for null in a column that is not nullable.
    """
    if value is None:
        if not column.nullable:
            raise Permanent(f"{name!r} is null, and the column {column.name} is not nullable")
        return None
    try:
        return cell_of(value, column.type)
    except ValueError:
        return _NO_CELL


def _field(name: str, value: Any, column: SchemaColumn) -> Any:
    """Return the value of the field that the column maps to, or `_NO_FIELD` when it does not convert."""
    if column.field is None or column.field == "available":
        return _NO_FIELD
    try:
        return _as_json(field_value(column.field, value, name))
    except Permanent:
        return _NO_FIELD


def _converts_back(field: Any, cell: Any, column: SchemaColumn) -> bool:
    """Return whether the engine would read the same column value from the field."""
    return field is cell if field is None or cell is None else bool(_cell_of_field(field, column) == cell)


def _cell_of_field(field: Any, column: SchemaColumn) -> Any:
    """Return the column value that the engine reads from the field, or `_NO_CELL`."""
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
