"""CSV as Amazon Personalize takes it: columns by name, backslash or doubled quotes, UTF-8, epoch seconds."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator
from typing import IO, Any

import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import csv as arrow_csv

from services.engine.computations.csv_normalizer import Rows
from services.engine.computations.null_cells import EARLIEST_SECOND, IDS, LATEST_SECOND, NullCells, converted
from services.engine.domain.schemas import Column, Schema
from services.engine.store.objects import BUFFER_BYTES
from shared.errors import Permanent, Transient
from shared.events.cells import LARGEST_CELL
from shared.events.values import LARGEST

BLOCK_BYTES = 8 * 2**20
LONGEST_ID = 256
LONGEST_CATEGORY = 1000
LONGEST_TEXT = 20_000
MOST_COLUMNS = 1_000
"""Ten times what the schema of items may have; columns beyond the schema's are ignored."""

# The stubs of pyarrow lose the type of most computed columns.
Arrow = Any

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
    """The schema of the rows as they are stored."""
    return pa.schema([(column.name, _TYPES[column.type]) for column in schema.columns])


def batches(
    stream: IO[bytes], schema: Schema, name: str, *, alone: bool = False, nulls: NullCells | None = None
) -> Iterator[pa.RecordBatch]:
    """The rows of a CSV file (a buffered stream) in the schema's columns, some megabytes at a time.

    Permanent, with the file, the row and what to do, for a file that breaks the rules. Rows are counted as
    a spreadsheet shows them, the header being row 1; empty lines are none. With `alone` the file must have
    no other columns. With `nulls` a cell that does not fit is null and counted there; ids must fit.
    """
    header = _header(stream, name)
    spelled = _spelled(header, schema)
    if alone and len(header) > len(spelled):
        wanted = ", ".join(schema.names)
        raise Permanent(f"{name} has the columns {', '.join(header)}; it must have {wanted} and no other.")
    lenient = [column for column in schema.columns if nulls is not None and column.name not in IDS]
    rows = Rows(stream, len(header), BLOCK_BYTES)
    try:
        reader = arrow_csv.open_csv(
            io.BufferedReader(rows, BUFFER_BYTES),
            # One thread is as fast on such blocks, and knows the rows that it complains of.
            arrow_csv.ReadOptions(block_size=BLOCK_BYTES, use_threads=False),
            arrow_csv.ParseOptions(newlines_in_values=True),
            arrow_csv.ConvertOptions(
                column_types={
                    spelled[c.name]: pa.string() if c in lenient else _TYPES[c.type] for c in schema.columns
                },
                include_columns=[spelled[c.name] for c in schema.columns],
                null_values=[""],
                strings_can_be_null=True,
                true_values=["true", "True", "TRUE"],
                false_values=["false", "False", "FALSE"],
            ),
        )
        before = 1  # the header
        for batch in reader:
            renamed = _shortened(batch.rename_columns(list(schema.names)), schema)
            for place, column in enumerate(schema.columns):
                if nulls is not None and column in lenient:
                    texts = renamed.column(place)
                    values = converted(texts, column, _TYPES[column.type])
                    nulls.add(column, texts, values, name, before)
                    renamed = renamed.set_column(place, column.name, values)
                _check(renamed.column(place), column, name, before, has_nulls=column in lenient)
            before += renamed.num_rows
            yield renamed
        if rows.fault is not None:
            raise Permanent(f"{_place(name, before + 1)}: {rows.fault}.")
    except pa.ArrowInvalid as error:
        raise Permanent(_sentence(str(error), header, schema, name)) from None
    except OSError as error:
        raise Transient(f"The object store broke off while {name} was read: {error}") from error


def _header(stream: Arrow, name: str) -> list[str]:
    """The names in the first line, without consuming it."""
    try:
        start = stream.peek(_HEADER_BYTES).removeprefix(b"\xef\xbb\xbf")
        line = start.partition(b"\n")[0].decode()
    except UnicodeDecodeError:
        raise Permanent(f"{name} is not UTF-8: save it as UTF-8 and import it again.") from None
    try:
        names = next(csv.reader([line.rstrip("\r")]), [])
    except csv.Error as error:
        raise Permanent(f"{name}: the first line is no header of a CSV file: {error}.") from None
    if len(names) > MOST_COLUMNS:
        raise Permanent(f"{name} has {len(names):,} columns; {MOST_COLUMNS:,} are allowed.")
    if not any(names):
        raise Permanent(f"{name} is empty: its first line must name the columns.")
    return names


def _spelled(header: list[str], schema: Schema) -> dict[str, str]:
    """Column of the schema → how the file spells it: exactly, or else in another case."""
    exact = set(header)
    loose = {column.strip().upper(): column for column in reversed(header)}
    spelled = {
        name: name if name in exact else loose[name.upper()]
        for name in schema.names
        if name in exact or name.upper() in loose
    }
    missing = [name for name in schema.names if name not in spelled]
    if missing:
        raise Permanent(f"Input CSV is missing the following columns:[{', '.join(missing)}]")
    doubled = [name for name in spelled.values() if header.count(name) > 1]
    if doubled:
        raise Permanent(f"Input CSV has more than one of the following columns:[{', '.join(doubled)}]")
    return spelled


def _shortened(batch: pa.RecordBatch, schema: Schema) -> pa.RecordBatch:
    """Texts lose what is beyond the longest that the service reads; nothing else is ever cut."""
    for place, column in enumerate(schema.columns):
        if column.textual:
            cut: Arrow = pc.utf8_slice_codeunits(batch.column(place), 0, LONGEST_TEXT)
            batch = batch.set_column(place, column.name, cut)
    return batch


def _check(values: Arrow, column: Column, name: str, before: int, *, has_nulls: bool) -> None:
    """Refuse what the schema or the service's limits forbid; names the first such row.

    With `has_nulls` the column has them where a cell does not fit.
    """
    if not column.nullable and values.null_count and not has_nulls:
        _refuse(pc.is_null(values), column, name, before, "is empty, and the schema doesn't allow that")
    longest = LONGEST_ID if column.name in IDS else LONGEST_CATEGORY if column.categorical else 0
    if longest and column.type == "string":
        too_long = pc.greater(pc.utf8_length(values), pa.scalar(longest, pa.int32()))
        _refuse(too_long, column, name, before, f"is longer than {longest} characters")
    if column.name in IDS:
        has_nul = pc.match_substring(values, "\0")
        _refuse(has_nul, column, name, before, "holds a NUL character, which can't be stored")
    if column.name in _TIMES:
        too_late = pc.greater_equal(values, pa.scalar(LATEST_SECOND, pa.int64()))
        _refuse(too_late, column, name, before, "is not in seconds since 1970 (are these milliseconds?)")
        too_early = pc.less(values, pa.scalar(EARLIEST_SECOND, pa.int64()))
        _refuse(too_early, column, name, before, "is not in seconds since 1970")
    if column.type in {"float", "double"}:
        largest = LARGEST if column.name == "EVENT_VALUE" else LARGEST_CELL
        # The type float has become infinite where the file says more than it holds.
        beyond = pc.greater(pc.abs(values), pa.scalar(largest, values.type))
        _refuse(beyond, column, name, before, f"is beyond {largest:g}, the largest number that it can have")


def _refuse(wrong: Any, column: Column, name: str, before: int, why: str) -> None:
    first = pc.index(wrong, value=True).as_py()
    if first >= 0:
        raise Permanent(f"{_place(name, before + first + 1)}: {column.name} {why}.")


def _place(name: str, row: int | str) -> str:
    return f"{name}, row {row} (the header is row 1)"


def _sentence(error: str, header: list[str], schema: Schema, name: str) -> str:
    """What pyarrow says, for people. It too counts the header as row 1."""
    match = _CONVERSION.search(error)
    if match:
        number, row, value = match.groups()
        column = next(c for c in schema.columns if c.name.upper() == header[int(number)].strip().upper())
        return f"{_place(name, row)}: {column.name} has the value {value[:100]!r}, which is no {column.type}."
    match = _COLUMNS.search(error)
    if match:
        row, expected, found = match.groups()
        return f"{_place(name, row)}: it has {found} values, and the header {expected} columns."
    if "invalid UTF8" in error:
        return f"{name} is not UTF-8: save it as UTF-8 and import it again."
    return f"{name}: {error[:300]}"
