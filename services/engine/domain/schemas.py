"""Avro schemas of datasets: the columns of their CSV files, and the rules for them.

A schema is a flat record; a nullable column is a union with null. The rules are those of
https://docs.aws.amazon.com/personalize/latest/dg/how-it-works-dataset-schema.html.
"""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass
from typing import Any, Literal

from shared.errors import Permanent

PRIMITIVES = frozenset({"float", "double", "int", "long", "string", "boolean"})
NAMESPACE = "com.amazonaws.personalize.schema"

DatasetType = Literal["INTERACTIONS", "ITEMS", "USERS"]
DATASET_TYPES: tuple[DatasetType, ...] = ("INTERACTIONS", "ITEMS", "USERS")

_RECORDS = {*DATASET_TYPES, "ACTIONS", "ACTION_INTERACTIONS", "ACTIONINTERACTIONS"}

# The columns with the types that they may have, by dataset type.
REQUIRED: dict[str, dict[str, set[str]]] = {
    "INTERACTIONS": {"USER_ID": {"string"}, "ITEM_ID": {"string"}, "TIMESTAMP": {"long"}},
    "ITEMS": {"ITEM_ID": {"string"}},
    "USERS": {"USER_ID": {"string"}},
}
RESERVED: dict[str, dict[str, set[str]]] = {
    "INTERACTIONS": {
        "EVENT_TYPE": {"string"},
        "EVENT_VALUE": {"float", "double"},
        "IMPRESSION": {"string"},
        "RECOMMENDATION_ID": {"string"},
        "EVENT_ATTRIBUTION_SOURCE": {"string"},
    },
    "ITEMS": {"CREATION_TIMESTAMP": {"long"}},
    "USERS": {},
}
# The columns that the ECOMMERCE domain requires in addition.
ECOMMERCE: dict[str, dict[str, set[str]]] = {
    "INTERACTIONS": {"EVENT_TYPE": {"string"}},
    "ITEMS": {"PRICE": {"float", "double"}, "CATEGORY_L1": {"string"}},
    "USERS": {},
}
# Columns of the domain's items that must have a mark.
ECOMMERCE_MARKS: dict[str, Literal["categorical", "textual"]] = {
    "CATEGORY_L1": "categorical",
    "CATEGORY_L2": "categorical",
    "CATEGORY_L3": "categorical",
    "AGE_GROUP": "categorical",
    "ADULT": "categorical",
    "GENDER": "categorical",
    "PRODUCT_DESCRIPTION": "textual",
}
MAX_METADATA_COLUMNS = {"INTERACTIONS": 5, "ITEMS": 100, "USERS": 25}


@dataclass(frozen=True, slots=True)
class Column:
    """One column of a dataset."""

    name: str
    type: str
    nullable: bool = False
    categorical: bool = False
    textual: bool = False


@dataclass(frozen=True, slots=True)
class Schema:
    """The columns of a dataset in the order of the schema, and the name of the record."""

    columns: tuple[Column, ...]
    record: str = ""

    @property
    def names(self) -> tuple[str, ...]:
        """Return the names of the columns."""
        return tuple(column.name for column in self.columns)


def metadata(schema: Schema, kind: DatasetType) -> list[Column]:
    """Return the columns that are neither required nor reserved."""
    known = REQUIRED[kind].keys() | RESERVED[kind].keys()
    return [column for column in schema.columns if column.name not in known]


def parse(text: str) -> Schema:
    """Parse an Avro schema; raise Permanent for any other text, or a record that is not flat."""
    try:
        document = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise Permanent(f"The schema is not valid JSON: {error}") from None
    if not isinstance(document, dict) or document.get("type") != "record":
        raise Permanent("The schema is not an Avro record: its type must be record.")
    fields = document.get("fields")
    if not isinstance(fields, list) or not fields:
        raise Permanent("The schema has no fields.")
    columns = tuple(_column(field) for field in fields)
    # Property names of events match columns without case and underscores, so these could not be told apart.
    counts = Counter(column.name.replace("_", "").upper() for column in columns)
    doubled = [column.name for column in columns if counts[column.name.replace("_", "").upper()] > 1]
    if doubled:
        raise Permanent(f"The schema has columns that differ in underscores or case only: {doubled}")
    name = document.get("name", "")
    if not isinstance(name, str):
        raise Permanent(f"The schema's name must be a text, not {name!r}.")
    return Schema(columns, name)


def _column(field: Any) -> Column:
    if not isinstance(field, dict) or not isinstance(field.get("name"), str) or not field["name"]:
        raise Permanent(f"Each field of the schema needs a name; this one has none: {field!r}")
    name = field["name"]
    kinds = field.get("type")
    kinds = kinds if isinstance(kinds, list) else [kinds]
    real = [kind for kind in kinds if kind != "null"]
    if len(real) != 1 or not isinstance(real[0], str) or real[0] not in PRIMITIVES:
        raise Permanent(
            f"Field {name} has the type {field.get('type')!r}; allowed are "
            f"{', '.join(sorted(PRIMITIVES))}, alone or in a union with null."
        )
    return Column(
        name=name,
        type=real[0],
        nullable="null" in kinds,
        categorical=bool(field.get("categorical")),
        textual=bool(field.get("textual")),
    )


def check(schema: Schema, kind: DatasetType, domain: str | None = None) -> None:
    """Raise Permanent if a schema cannot describe a dataset of a type, in a dataset group with a domain."""
    _check_record(schema, kind)
    columns = {column.name: column for column in schema.columns}
    required = REQUIRED[kind] | (ECOMMERCE[kind] if domain == "ECOMMERCE" else {})
    missing = [name for name in required if name not in columns]
    if missing:
        raise Permanent(f"A schema for {kind} needs the fields {missing}, which it lacks.")
    for name, types in (RESERVED[kind] | required).items():
        if name in columns and columns[name].type not in types:
            raise Permanent(
                f"Field {name} of a schema for {kind} must be of type {' or '.join(sorted(types))}, "
                f"not {columns[name].type}."
            )
    marks = ECOMMERCE_MARKS if domain == "ECOMMERCE" and kind == "ITEMS" else {}
    for name, mark in marks.items():
        if name in columns and (columns[name].type != "string" or not getattr(columns[name], mark)):
            raise Permanent(f"Field {name} of the ECOMMERCE domain must be a {mark} string.")
    for name in REQUIRED[kind]:
        if columns[name].nullable:
            raise Permanent(f"Field {name} is required and must not be nullable.")
    _check_metadata(schema, kind)


def _check_record(schema: Schema, kind: DatasetType) -> None:
    """Raise Permanent if a schema has the name of another dataset type."""
    called = schema.record.upper()
    if called != kind and called in _RECORDS:
        raise Permanent(
            f"The schema's name is {schema.record}, so it is not for {kind}: the name in a schema must match "
            f"the type of its dataset; call it {kind.title()}."
        )


def check_replaces(new: Schema, old: Schema) -> None:
    """Raise Permanent if rows of an earlier schema do not fit a new one."""
    columns = {column.name: column for column in new.columns}
    gone = [column.name for column in old.columns if column.name not in columns]
    if gone:
        raise Permanent(f"The new schema lacks the fields {gone} of the one before; fields can't be removed.")
    for column in old.columns:
        replacement = columns[column.name]
        if replacement.type != column.type or (column.nullable and not replacement.nullable):
            raise Permanent(
                f"Field {column.name} was {_described(column)} and can't become {_described(replacement)}: "
                "the rows that the dataset holds would not fit."
            )
    strict = [c.name for c in new.columns if c.name not in old.names and not c.nullable]
    if strict:
        raise Permanent(
            f"The new fields {strict} must be nullable, as a union with null: earlier rows lack them."
        )


def _described(column: Column) -> str:
    return f"{column.type} or null" if column.nullable else column.type


def _check_metadata(schema: Schema, kind: DatasetType) -> None:
    described = metadata(schema, kind)
    if kind != "INTERACTIONS" and not described and not _has_reserved(schema, kind):
        raise Permanent(f"A schema for {kind} needs at least one metadata field beside its id.")
    if len(described) > MAX_METADATA_COLUMNS[kind]:
        raise Permanent(
            f"A schema for {kind} has at most {MAX_METADATA_COLUMNS[kind]} metadata fields, "
            f"not {len(described)}."
        )
    textual = [column.name for column in schema.columns if column.textual]
    if textual and kind != "ITEMS":
        raise Permanent(f"Only items have textual fields; {kind} has {textual}.")
    if len(textual) > 1:
        raise Permanent(f"A schema has at most one textual field, not {textual}.")
    flagged = [c.name for c in schema.columns if (c.categorical or c.textual) and c.type != "string"]
    if flagged:
        raise Permanent(f"Only string fields are categorical or textual; these are not: {flagged}")
    if kind == "INTERACTIONS" and any(c.name == "EVENT_TYPE" and c.categorical for c in schema.columns):
        raise Permanent("EVENT_TYPE must not be categorical.")


def _has_reserved(schema: Schema, kind: DatasetType) -> bool:
    return any(name in RESERVED[kind] for name in schema.names)
