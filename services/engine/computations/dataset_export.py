"""Export of a dataset as CSV files that can be imported again, with one batch in memory at a time."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from services.engine.computations import computation, csv_reader
from services.engine.computations.computation import Arrow, ReportProgress
from services.engine.domain import schemas
from services.engine.domain.locations import INVALID_OUTPUT_PATH, as_folder
from services.engine.store.objects import ObjectStorage
from services.engine.training.dataset.erasure import without_erased

_NEEDS_QUOTES = r'^$|[",\r\n]|^\s|\s$'
_BACKSLASHES_TO_DOUBLE = r'(\\+)("|$)|(\\{2,})'
_ENDS_WITH_SINGLE_BACKSLASH = r"(^|[^\\])\\$"
_ID_COLUMNS = {"ITEMS": "ITEM_ID", "USERS": "USER_ID"}


@dataclass(frozen=True, slots=True)
class Spec:
    """The rows to export: imported `parts` (keys of the data bucket, oldest first) and `received` rows.

    `received` is a local Parquet file of the rows that were put, or None. `mode` is BULK for the imported
    rows, PUT for the received ones, or ALL. The keys of the files start with the folder `output_key` and
    `name`. `deleted_at` maps the ids of deleted users to the epoch second of their deletion: their earlier
    interactions are not exported.
    """

    kind: str
    schema: str
    mode: str
    parts: list[str]
    received: str | None
    output_bucket: str
    output_key: str
    name: str
    deleted_at: dict[str, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Exported(computation.Result):
    """The number of rows and files that were written."""

    rows: int
    files: int


def run(spec: Spec, objects: ObjectStorage, workspace: Path, report: ReportProgress) -> Exported:
    """Write the files.

    Raises Permanent when they can't be written to their destination.
    """
    schema = schemas.parse(spec.schema)
    files: dict[str, Iterator[pa.RecordBatch]] = {}
    if spec.mode in {"BULK", "ALL"}:
        report("copy the imported rows", 0.0)
        files |= _imported(spec, _download(spec.parts, objects, workspace), schema)
    if spec.mode in {"PUT", "ALL"}:
        files["put"] = _batches(Path(spec.received), schema) if spec.received else iter(())
    rows = 0
    for number, (name, batches) in enumerate(files.items()):
        report("write CSV", number / len(files))
        path = workspace / "rows.csv"
        rows += write(batches, schema, path)
        key = f"{as_folder(spec.output_key)}{spec.name}-{name}.csv"
        objects.upload(path, spec.output_bucket, key, INVALID_OUTPUT_PATH)
        path.unlink()
    return Exported(rows=rows, files=len(files))


def _download(keys: list[str], objects: ObjectStorage, workspace: Path) -> list[Path]:
    paths = []
    for number, key in enumerate(keys):
        path = workspace / f"part-{number:05}.parquet"
        objects.download(objects.data_bucket, key, path)
        paths.append(path)
    return paths


def _imported(spec: Spec, paths: list[Path], schema: schemas.Schema) -> dict[str, Iterator[pa.RecordBatch]]:
    """Return a file for each imported part; of several rows with the same item or user, only the newest."""
    if not paths:
        return {"bulk-00000": iter(())}
    id_column = _ID_COLUMNS.get(spec.kind)
    kept = newest_rows(paths, id_column) if id_column else [None] * len(paths)
    return {
        f"bulk-{number:05}": _batches(path, schema, mask, spec.deleted_at)
        for number, (path, mask) in enumerate(zip(paths, kept, strict=True))
    }


def newest_rows(paths: list[Path], id_column: str) -> list[NDArray[np.bool_]]:
    """Return for each file whether each of its rows is the last one with its id: bool[rows].

    Only the ids are held in memory.
    """
    columns = [pq.read_table(path, columns=[id_column])[id_column] for path in paths]
    ids: Arrow = pa.chunked_array([chunk for column in columns for chunk in column.chunks], pa.string())
    indices: Arrow = pc.index_in(ids, value_set=pc.unique(ids))
    codes = indices.to_numpy()
    last = np.zeros(len(codes), np.int64)
    last[codes] = np.arange(len(codes))
    kept = np.zeros(len(codes), bool)
    kept[last[np.unique(codes)]] = True
    begins = np.cumsum([len(column) for column in columns])[:-1]
    return np.split(kept, begins)


def _batches(
    path: Path,
    schema: schemas.Schema,
    kept: NDArray[np.bool_] | None = None,
    deleted_at: Mapping[str, int] = MappingProxyType({}),
) -> Iterator[pa.RecordBatch]:
    """Yield the rows of a Parquet file in the columns of the schema; a missing column is null."""
    arrow = csv_reader.arrow_schema(schema)
    rows_before = 0
    for batch in pq.ParquetFile(path).iter_batches():
        columns = [
            batch.column(field.name).cast(field.type)
            if field.name in batch.schema.names
            else pa.nulls(batch.num_rows, field.type)
            for field in arrow
        ]
        rows: Arrow = pa.RecordBatch.from_arrays(columns, schema=arrow)
        if kept is not None:
            rows = rows.filter(pa.array(kept[rows_before : rows_before + batch.num_rows]))
        rows_before += batch.num_rows
        yield without_erased(rows, deleted_at)


def write(batches: Iterator[pa.RecordBatch], schema: schemas.Schema, path: Path) -> int:
    """Write one CSV file with a header, and return the number of its rows."""
    rows = 0
    with path.open("wb") as file:
        file.write(",".join(schema.names).encode() + b"\n")
        for batch in batches:
            if batch.num_rows:
                file.write("\n".join(_lines(batch).to_pylist()).encode() + b"\n")
                rows += batch.num_rows
    return rows


def _lines(batch: pa.RecordBatch) -> Arrow:
    """Return the rows as lines of CSV, without line ends."""
    last = batch.num_columns - 1
    columns: list[Arrow] = batch.columns
    cells = [
        _cells(column, is_last=number == last)
        if pa.types.is_string(column.type)
        else pc.fill_null(column.cast(pa.string()), "")
        for number, column in enumerate(columns)
    ]
    separator: Arrow = ","
    return pc.binary_join_element_wise(*cells, separator)


def _cells(texts: Arrow, *, is_last: bool) -> Arrow:
    r"""Return texts as CSV cells, quoted only if necessary: most backslashes then mean the same in RFC 4180.

    An import reads `\\` and `\"` as escapes, so backslashes before a quote or the end of a cell, and two in a
    row, are doubled. A single backslash at the end of an unquoted last cell is literal, and stays single.
    """
    is_quoted = pc.match_substring_regex(texts, _NEEDS_QUOTES)
    doubled = pc.replace_substring_regex(texts, _BACKSLASHES_TO_DOUBLE, r"\1\1\2\3\3")
    quoted = pc.binary_join_element_wise("", pc.replace_substring(doubled, '"', '""'), "", '"')
    plain = doubled
    if is_last:
        is_kept = pc.match_substring_regex(texts, _ENDS_WITH_SINGLE_BACKSLASH)
        plain = pc.if_else(is_kept, pc.utf8_slice_codeunits(doubled, 0, -1), doubled)
    return pc.fill_null(pc.if_else(is_quoted, quoted, plain), "")
