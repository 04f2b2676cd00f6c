"""What has come in beside the imports: the event tracker's events, and what was put about items and users."""

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
from shared.events.field_aliases import columns_of_fields, folded

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


async def collect(
    database: Database, tenant: str, schemas: Mapping[str, Schema], folder: Path, *, sessions: bool = False
) -> dict[str, str]:
    """Return files of received rows by the type of the dataset; none for a type without rows.

    Events are collected for every group, items and users only where there is a dataset (`schemas`, by its
    type) that says which columns they have. Events of sessions to which no user has logged in are collected
    only with `sessions`.
    """
    files = {}
    for kind in ("INTERACTIONS", "ITEMS", "USERS"):
        path = folder / f"received-{kind.lower()}.parquet"
        if kind == "INTERACTIONS":
            rows = await _interactions(database, tenant, path, schemas.get(kind), sessions=sessions)
        elif kind in schemas:
            schema = schemas[kind]
            rows = await _write(database, kind, tenant, path, arrow_schema(schema), _said(kind, schema))
        else:
            continue
        if rows:
            files[kind] = str(path)
    return files


async def collect_whole(
    database: Database, tenant: str, kind: str, schema: Schema, path: Path, ids: Sequence[str] | None = None
) -> bool:
    """All that was received of one type, in its dataset's columns, as a file; False when that is nothing.

    Of items only these `ids`, where there are any.
    """
    arrow = arrow_schema(schema)
    if kind == "INTERACTIONS":
        return await _write(database, "EVENTS", tenant, path, arrow, _heard(schema)) > 0
    return await _write(database, kind, tenant, path, arrow, _said(kind, schema), ids) > 0


async def _interactions(
    database: Database, tenant: str, path: Path, schema: Schema | None, *, sessions: bool
) -> int:
    """What trains of the events; with a dataset its metadata columns too, for requests with a context."""
    columns = [column for column in metadata(schema, "INTERACTIONS") if column.categorical] if schema else []
    if not columns:
        return await _write(database, "INTERACTIONS", tenant, path, EVENTS, _event, sessions=sessions)

    def cells(row: Row) -> tuple[Any, ...]:
        said = {folded(name): value for name, value in (row["properties"] or {}).items()}
        return *_event(row), *(cell(said.get(folded(column.name)), column) for column in columns)

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
        async for some in datasets.received(database, kind, tenant, ids, sessions=sessions):
            columns = zip(*(cells(row) for row in some), strict=True)
            arrays = [pa.array(column, field.type) for column, field in zip(columns, schema, strict=True)]
            writer.write_batch(pa.RecordBatch.from_arrays(arrays, schema=schema))
            rows += len(some)
    return rows


def _event(row: Row) -> tuple[Any, ...]:
    return row["user_id"], row["item_id"], row["event_type"], row["value"], row["timestamp"]


def _heard(schema: Schema) -> Callable[[Row], tuple[Any, ...]]:
    """How an event becomes cells of the dataset's columns: its own members, then its properties."""

    def cells(row: Row) -> tuple[Any, ...]:
        known = {folded(name): value for name, value in (row["properties"] or {}).items()}
        known |= {folded(name): row[name] for name in _MEMBERS}
        return tuple(cell(known.get(folded(column.name)), column) for column in schema.columns)

    return cells


def _said(kind: str, schema: Schema) -> Callable[[Row], tuple[Any, ...]]:
    """Return a function from a row of an item or user to cells of the dataset; missing ones are None.

    A column that was put as such comes before the field that it stands for.
    """
    what: Literal["item", "user"] = "item" if kind == "ITEMS" else "user"
    identity = "ITEM_ID" if kind == "ITEMS" else "USER_ID"
    fields = {column: field for field, column in columns_of_fields(what, schema.names).items()}

    def value(row: Row, attributes: Row, column: Column) -> Any:
        key, field = folded(column.name), fields.get(column.name)
        if key in attributes or field is None:
            return attributes.get(key)
        # Every item is available until somebody says it is not, so `true` may have been said by nobody.
        return None if field == "available" and row[field] else row[field]

    def cells(row: Row) -> tuple[Any, ...]:
        attributes = {folded(name): value for name, value in row["attributes"].items()}
        return tuple(
            row["id"] if column.name == identity else cell(value(row, attributes, column), column)
            for column in schema.columns
        )

    return cells


def cell(value: Any, column: Column) -> Any:
    """A value that came as JSON as one of the column's type; None for what is none, as if it was not said.

    A time of the shop's state is seconds since 1970 there, and a number becomes whole where the column is.
    `CREATION_TIMESTAMP` beyond the bounds of times is None: nothing computes with it.
    """
    if isinstance(value, datetime):
        value = int(value.timestamp())
    elif isinstance(value, int | float) and column.type in {"int", "long"}:
        value = math.floor(value) if abs(value) <= LARGEST_CELL else None
    if value is None:
        return None
    try:
        known = cell_of(value, column.type)
    except ValueError:
        return None
    if column.name == "CREATION_TIMESTAMP" and _is_no_time(known):
        return None
    return None if known == "" else known


def _is_no_time(value: Any) -> bool:
    return isinstance(value, int | float) and not EARLIEST_SECOND <= value < LATEST_SECOND
