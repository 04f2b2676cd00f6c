"""Parquet files of rows that came in without an import: events, and items and users that were put."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import pyarrow as pa
import pyarrow.parquet as pq

from services.engine.computations.csv_reader import arrow_schema
from services.engine.computations.null_cells import EARLIEST_SECOND, LATEST_SECOND
from services.engine.domain.schemas import Column, Schema, metadata
from services.engine.store import datasets
from shared.events.cells import LARGEST_CELL, cell_of
from shared.events.field_aliases import columns_of_fields, normalized_name

if TYPE_CHECKING:
    from shared.postgres import Database

_EVENT_COLUMNS: dict[str, pa.DataType] = {
    "USER_ID": pa.string(),
    "ITEM_ID": pa.string(),
    "EVENT_TYPE": pa.string(),
    "EVENT_VALUE": pa.float32(),
    "TIMESTAMP": pa.int64(),
}
EVENTS = pa.schema(_EVENT_COLUMNS)

_MEMBERS = (
    "user_id",
    "item_id",
    "event_type",
    "event_value",
    "timestamp",
    "impression",
    "recommendation_id",
    "event_attribution_source",
)

Row = Mapping[str, Any]


async def write_training_files(
    database: Database, tenant: str, schemas: Mapping[str, Schema], folder: Path, *, sessions: bool = False
) -> dict[str, str]:
    """Write the received rows of a tenant to files of `folder`; return their paths by dataset type.

    A type without rows has no file. Events are written for every group, items and users only if their
    dataset has a schema (`schemas`, by dataset type), which defines the columns. Events of sessions in which
    no user has logged in are written only with `sessions`.
    """
    files = {}
    for kind in ("INTERACTIONS", "ITEMS", "USERS"):
        path = folder / f"received-{kind.lower()}.parquet"
        if kind == "INTERACTIONS":
            rows = await _interactions(database, tenant, path, schemas.get(kind), sessions=sessions)
        elif kind in schemas:
            schema = schemas[kind]
            rows = await _write(
                database, kind, tenant, path, arrow_schema(schema), _state_cells(kind, schema)
            )
        else:
            continue
        if rows:
            files[kind] = str(path)
    return files


async def write_dataset_file(
    database: Database, tenant: str, kind: str, schema: Schema, path: Path, ids: Sequence[str] | None = None
) -> bool:
    """Write all received rows of a dataset to `path`, in its columns; return whether there were any.

    With `ids` only items with these ids are written.
    """
    arrow = arrow_schema(schema)
    if kind == "INTERACTIONS":
        return await _write(database, "EVENTS", tenant, path, arrow, _event_cells(schema)) > 0
    return await _write(database, kind, tenant, path, arrow, _state_cells(kind, schema), ids) > 0


async def _interactions(
    database: Database, tenant: str, path: Path, schema: Schema | None, *, sessions: bool
) -> int:
    """Write the events to train on, with the dataset's categorical metadata columns; return their number."""
    columns = [column for column in metadata(schema, "INTERACTIONS") if column.categorical] if schema else []
    if not columns:
        return await _write(database, "INTERACTIONS", tenant, path, EVENTS, _event, sessions=sessions)

    def cells(row: Row) -> tuple[Any, ...]:
        properties = {normalized_name(name): value for name, value in (row["properties"] or {}).items()}
        return *_event(row), *(
            cell(properties.get(normalized_name(column.name)), column) for column in columns
        )

    arrow = pa.schema([*EVENTS, *(pa.field(column.name, pa.string()) for column in columns)])
    return await _write(database, "DESCRIBED_INTERACTIONS", tenant, path, arrow, cells, sessions=sessions)


async def _write(
    database: Database,
    kind: str,
    tenant: str,
    path: Path,
    schema: pa.Schema,
    cells: Callable[[Row], tuple[Any, ...]],
    ids: Sequence[str] | None = None,
    *,
    sessions: bool = False,
) -> int:
    rows = 0
    with pq.ParquetWriter(path, schema) as writer:
        async for chunk in datasets.received(database, kind, tenant, ids, sessions=sessions):
            columns = zip(*(cells(row) for row in chunk), strict=True)
            arrays = [pa.array(column, field.type) for column, field in zip(columns, schema, strict=True)]
            writer.write_batch(pa.RecordBatch.from_arrays(arrays, schema=schema))
            rows += len(chunk)
    return rows


def _event(row: Row) -> tuple[Any, ...]:
    return row["user_id"], row["item_id"], row["event_type"], row["value"], row["timestamp"]


def _event_cells(schema: Schema) -> Callable[[Row], tuple[Any, ...]]:
    """Return a function from an event to cells of its dataset; members take precedence over properties."""

    def cells(row: Row) -> tuple[Any, ...]:
        values = {normalized_name(name): value for name, value in (row["properties"] or {}).items()}
        values |= {normalized_name(name): row[name] for name in _MEMBERS}
        return tuple(cell(values.get(normalized_name(column.name)), column) for column in schema.columns)

    return cells


def _state_cells(kind: str, schema: Schema) -> Callable[[Row], tuple[Any, ...]]:
    """Return a function from a row of an item or user to the cells of its dataset; missing ones are None.

    An attribute with the name of a column takes precedence over the field that the column stands for.
    """
    entity: Literal["item", "user"] = "item" if kind == "ITEMS" else "user"
    id_column = "ITEM_ID" if kind == "ITEMS" else "USER_ID"
    fields = {column: field for field, column in columns_of_fields(entity, schema.names).items()}

    def value(row: Row, attributes: Row, column: Column) -> Any:
        key, field = normalized_name(column.name), fields.get(column.name)
        if key in attributes or field is None:
            return attributes.get(key)
        # Items are available by default, so `true` may not have been sent by anyone.
        return None if field == "available" and row[field] else row[field]

    def cells(row: Row) -> tuple[Any, ...]:
        attributes = {normalized_name(name): value for name, value in row["attributes"].items()}
        return tuple(
            row["id"] if column.name == id_column else cell(value(row, attributes, column), column)
            for column in schema.columns
        )

    return cells


def cell(value: Any, column: Column) -> Any:
    """Return a JSON value in the type of a column; None for a value that does not fit.

    A datetime becomes seconds since 1970, and a number is rounded down for a column of integers. A
    `CREATION_TIMESTAMP` out of bounds is None, so that no computation uses it.
    """
    if isinstance(value, datetime):
        value = int(value.timestamp())
    elif isinstance(value, int | float) and column.type in {"int", "long"}:
        value = math.floor(value) if abs(value) <= LARGEST_CELL else None
    if value is None:
        return None
    try:
        converted = cell_of(value, column.type)
    except ValueError:
        return None
    if column.name == "CREATION_TIMESTAMP" and _is_out_of_bounds(converted):
        return None
    return None if converted == "" else converted


def _is_out_of_bounds(value: Any) -> bool:
    return isinstance(value, int | float) and not EARLIEST_SECOND <= value < LATEST_SECOND
