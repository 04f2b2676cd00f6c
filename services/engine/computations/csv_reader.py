r"""Reading CSV as Amazon Personalize accepts it: columns by name, `\"` or `""` for a quote, epoch seconds."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator
from functools import partial
from typing import IO

import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import csv as arrow_csv

from services.engine.computations.computation import Arrow
from services.engine.computations.csv_normalizer import NormalizedRows
from services.engine.computations.null_cells import EARLIEST_SECOND, IDS, LATEST_SECOND, NullCells, converted
from services.engine.domain.schemas import Column, Schema
from services.engine.store.objects import BUFFER_BYTES
from shared.errors import Permanent, Transient
from shared.events.cells import LARGEST_CELL
from shared.events.values import LARGEST

BLOCK_BYTES = 8 * 2**20
MAX_ID_CHARACTERS = 256
MAX_CATEGORY_CHARACTERS = 1000
MAX_TEXT_CHARACTERS = 20_000
"""Limits of Amazon Personalize; a longer text is cut."""

MAX_COLUMNS = 1_000
"""Ten times what the schema of items may have; columns that the schema does not name are ignored."""

_HEADER_BYTES = 64 * 1024
_TIMES = frozenset({"TIMESTAMP", "CREATION_TIMESTAMP"})
_TYPES: dict[str, pa.DataType] = {
    "string": pa.string(),
    "long": pa.int64(),
    "int": pa.int32(),
    "float": pa.float32(),
    "double": pa.float64(),
    "boolean": pa.bool_(),
}
_CONVERSION = re.compile(
    r"In CSV column #(\d+): Row #(\d+): CSV conversion error to \S+: invalid value '(.*)'", re.DOTALL
)
_COLUMNS = re.compile(r"CSV parse error: Row #(\d+): Expected (\d+) columns, got (\d+)")


def arrow_schema(schema: Schema) -> pa.Schema:
    """Return the Arrow schema in which rows of a dataset are stored."""
    return pa.schema([(column.name, _TYPES[column.type]) for column in schema.columns])


def batches(
    stream: IO[bytes], schema: Schema, name: str, *, exact: bool = False, nulls: NullCells | None = None
) -> Iterator[pa.RecordBatch]:
    """Yield the rows of a CSV file in the columns of the schema, a few megabytes at a time.

    `stream` must be buffered; `name` stands for the file in error messages. With `exact` the file must have
    the columns of the schema and no other. With `nulls` a cell that does not fit the type of its column
    becomes null and is counted there, except for ids.

    Raises Permanent for a file that breaks the rules, with the file, the row and what to do; rows are
    numbered as in a spreadsheet, the header being row 1, and empty lines are not counted. Raises Transient
    when the object store breaks off.
    """
    header = _header(stream, name)
    file_columns = _file_columns(header, schema)
    if exact and len(header) > len(file_columns):
        expected = ", ".join(schema.names)
        raise Permanent(f"{name} has the columns {', '.join(header)}; it must have {expected} and no other.")
    lenient = [column for column in schema.columns if nulls is not None and column.name not in IDS]
    rows = NormalizedRows(stream, len(header), BLOCK_BYTES)
    try:
        reader = arrow_csv.open_csv(
            io.BufferedReader(rows, BUFFER_BYTES),
            # One thread is as fast on blocks of this size, and its errors have row numbers.
            arrow_csv.ReadOptions(block_size=BLOCK_BYTES, use_threads=False),
            arrow_csv.ParseOptions(newlines_in_values=True),
            arrow_csv.ConvertOptions(
                column_types={
                    file_columns[c.name]: pa.string() if c in lenient else _TYPES[c.type]
                    for c in schema.columns
                },
                include_columns=[file_columns[c.name] for c in schema.columns],
                null_values=[""],
                strings_can_be_null=True,
                true_values=["true", "True", "TRUE"],
                false_values=["false", "False", "FALSE"],
            ),
        )
        rows_before = 1  # the header
        for batch in reader:
            renamed = _cut_texts(batch.rename_columns(list(schema.names)), schema)
            for index, column in enumerate(schema.columns):
                if nulls is not None and column in lenient:
                    texts = renamed.column(index)
                    values = converted(texts, column, _TYPES[column.type])
                    nulls.add(column, texts, values, name, rows_before)
                    renamed = renamed.set_column(index, column.name, values)
                _check(renamed.column(index), column, name, rows_before, has_nulls=column in lenient)
            rows_before += renamed.num_rows
            yield renamed
        if rows.fault is not None:
            raise Permanent(f"{_row(name, rows_before + 1)}: {rows.fault}.")
    except pa.ArrowInvalid as error:
        raise Permanent(_translated(str(error), header, schema, name)) from None
    except OSError as error:
        raise Transient(f"The object store broke off while {name} was read: {error}") from error


def _header(stream: Arrow, name: str) -> list[str]:
    """Return the column names in the first line, without consuming it."""
    try:
        start = stream.peek(_HEADER_BYTES).removeprefix(b"\xef\xbb\xbf")
        line = start.partition(b"\n")[0].decode()
    except UnicodeDecodeError:
        raise Permanent(f"{name} is not UTF-8: save it as UTF-8 and import it again.") from None
    try:
        names = next(csv.reader([line.rstrip("\r")]), [])
    except csv.Error as error:
        raise Permanent(f"{name}: the first line is not the header of a CSV file: {error}.") from None
    if len(names) > MAX_COLUMNS:
        raise Permanent(f"{name} has {len(names):,} columns; {MAX_COLUMNS:,} are allowed.")
    if not any(names):
        raise Permanent(f"{name} is empty: its first line must name the columns.")
    return names


def _file_columns(header: list[str], schema: Schema) -> dict[str, str]:
    """Map each column of the schema to its name in the file: the same name, or else one in another case."""
    exact = set(header)
    by_upper_case = {column.strip().upper(): column for column in reversed(header)}
    file_columns = {
        name: name if name in exact else by_upper_case[name.upper()]
        for name in schema.names
        if name in exact or name.upper() in by_upper_case
    }
    missing = [name for name in schema.names if name not in file_columns]
    if missing:
        raise Permanent(f"Input CSV is missing the following columns:[{', '.join(missing)}]")
    repeated = [name for name in file_columns.values() if header.count(name) > 1]
    if repeated:
        raise Permanent(f"Input CSV has more than one of the following columns:[{', '.join(repeated)}]")
    return file_columns


def _cut_texts(batch: pa.RecordBatch, schema: Schema) -> pa.RecordBatch:
    """Cut textual columns to the longest text that Amazon Personalize reads; nothing else is ever cut."""
    for index, column in enumerate(schema.columns):
        if column.textual:
            cut: Arrow = pc.utf8_slice_codeunits(batch.column(index), 0, MAX_TEXT_CHARACTERS)
            batch = batch.set_column(index, column.name, cut)
    return batch


def _check(values: Arrow, column: Column, name: str, rows_before: int, *, has_nulls: bool) -> None:
    """Raise Permanent with the first row that the schema or the limits of Amazon Personalize forbid.

    With `has_nulls` a null stands for a cell that does not fit its type, and is allowed.
    """
    refuse = partial(_refuse, column=column, name=name, rows_before=rows_before)
    if not column.nullable and values.null_count and not has_nulls:
        refuse(pc.is_null(values), problem="is empty, and the schema doesn't allow that")
    longest = (
        MAX_ID_CHARACTERS if column.name in IDS else MAX_CATEGORY_CHARACTERS if column.categorical else 0
    )
    if longest and column.type == "string":
        too_long = pc.greater(pc.utf8_length(values), pa.scalar(longest, pa.int32()))
        refuse(too_long, problem=f"is longer than {longest} characters")
    if column.name in IDS:
        has_nul = pc.match_substring(values, "\0")
        refuse(has_nul, problem="holds a NUL character, which can't be stored")
    if column.name in _TIMES:
        too_late = pc.greater_equal(values, pa.scalar(LATEST_SECOND, pa.int64()))
        refuse(too_late, problem="is not in seconds since 1970 (are these milliseconds?)")
        too_early = pc.less(values, pa.scalar(EARLIEST_SECOND, pa.int64()))
        refuse(too_early, problem="is not in seconds since 1970")
    if column.type in {"float", "double"}:
        largest = LARGEST if column.name == "EVENT_VALUE" else LARGEST_CELL
        # A number that is too large for the type float was read as infinity.
        beyond = pc.greater(pc.abs(values), pa.scalar(largest, values.type))
        refuse(beyond, problem=f"is beyond {largest:g}, the largest number that it can have")


def _refuse(invalid: Arrow, column: Column, name: str, rows_before: int, problem: str) -> None:
    first = pc.index(invalid, value=True).as_py()
    if first >= 0:
        raise Permanent(f"{_row(name, rows_before + first + 1)}: {column.name} {problem}.")


def _row(name: str, row: int | str) -> str:
    return f"{name}, row {row} (the header is row 1)"


def _translated(error: str, header: list[str], schema: Schema, name: str) -> str:
    """Return an error message of pyarrow in terms of the file; pyarrow counts the header as row 1, too."""
    match = _CONVERSION.search(error)
    if match:
        number, row, value = match.groups()
        column = next(c for c in schema.columns if c.name.upper() == header[int(number)].strip().upper())
        return f"{_row(name, row)}: {column.name} has the value {value[:100]!r}, which is no {column.type}."
    match = _COLUMNS.search(error)
    if match:
        row, columns, values = match.groups()
        return f"{_row(name, row)}: it has {values} values, and the header {columns} columns."
    if "invalid UTF8" in error:
        return f"{name} is not UTF-8: save it as UTF-8 and import it again."
    return f"{name}: {error[:300]}"
