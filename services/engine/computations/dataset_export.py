"""An export: the rows of a dataset as CSV files that an import takes again, a batch in memory at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from services.engine.computations import csv_reader
from services.engine.domain import schemas
from services.engine.domain.locations import as_folder
from services.engine.store.objects import Objects
from services.engine.training.dataset.erasure import without_erased

INVALID_OUTPUT_PATH = "Invalid S3 output path."

Report = Callable[[str, float], None]
# The stubs of pyarrow lose the type of most computed columns.
Arrow = Any

_QUOTED = r'^$|[",\r\n]|^\s|\s$'
_ESCAPED = r'(\\+)("|$)|(\\{2,})'
_ENDS_WITH_ONE = r"(^|[^\\])\\$"
_IDENTITY = {"ITEMS": "ITEM_ID", "USERS": "USER_ID"}


@dataclass(frozen=True, slots=True)
class Spec:
    """What to export: the imported `parts` (keys of the data bucket, oldest first) and `received`.

    `received` is a local file of the rows that were put, or None when there are none; each of the two is
    exported when its mode asks for it. The files' names begin with `output_key` and `name`. `erased` says
    of deleted users until which second nothing of theirs is exported.
    """

    kind: str
    schema: str
    mode: str
    parts: list[str]
    received: str | None
    output_bucket: str
    output_key: str
    name: str
    erased: dict[str, int]


def run(spec: Spec, objects: Objects, workspace: Path, report: Report) -> dict[str, Any]:
    """Write the files; gives how many rows and files there are."""
    schema = schemas.parse(spec.schema)
    files: dict[str, Iterator[pa.RecordBatch]] = {}
    if spec.mode in {"BULK", "ALL"}:
        report("copy the imported rows", 0.0)
        files |= _imported(spec, _copied(spec.parts, objects, workspace), schema)
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
    return {"rows": rows, "files": len(files), "warnings": []}


def _copied(keys: list[str], objects: Objects, workspace: Path) -> list[Path]:
    paths = []
    for number, key in enumerate(keys):
        path = workspace / f"part-{number:05}.parquet"
        objects.download(objects.data_bucket, key, path)
        paths.append(path)
    return paths


def _imported(spec: Spec, paths: list[Path], schema: schemas.Schema) -> dict[str, Iterator[pa.RecordBatch]]:
    """A file for each imported part; of the rows that share an item or a user, the newest alone."""
    if not paths:
        return {"bulk-00000": iter(())}
    identity = _IDENTITY.get(spec.kind)
    kept = newest(paths, identity) if identity else [None] * len(paths)
    return {
        f"bulk-{number:05}": _batches(path, schema, mask, spec.erased)
        for number, (path, mask) in enumerate(zip(paths, kept, strict=True))
    }


def newest(paths: list[Path], identity: str) -> list[NDArray[np.bool_]]:
    """Which rows of each file no later row replaces. Holds the ids in memory, and nothing else."""
    columns = [pq.read_table(path, columns=[identity])[identity] for path in paths]
    ids: Arrow = pa.chunked_array([chunk for column in columns for chunk in column.chunks], pa.string())
    numbers: Arrow = pc.index_in(ids, value_set=pc.unique(ids))
    codes = numbers.to_numpy()
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
    erased: Mapping[str, int] = MappingProxyType({}),
) -> Iterator[pa.RecordBatch]:
    """The rows of a Parquet file in the schema's columns; a column that it lacks is empty."""
    arrow = csv_reader.arrow_schema(schema)
    before = 0
    for batch in pq.ParquetFile(path).iter_batches():
        columns = [
            batch.column(field.name).cast(field.type)
            if field.name in batch.schema.names
            else pa.nulls(batch.num_rows, field.type)
            for field in arrow
        ]
        rows: Arrow = pa.RecordBatch.from_arrays(columns, schema=arrow)
        if kept is not None:
            rows = rows.filter(pa.array(kept[before : before + batch.num_rows]))
        before += batch.num_rows
        yield without_erased(rows, erased)


def write(batches: Iterator[pa.RecordBatch], schema: schemas.Schema, path: Path) -> int:
    """Write one CSV file, its header as an import reads it, and return how many rows it has."""
    rows = 0
    with path.open("wb") as file:
        file.write(",".join(schema.names).encode() + b"\n")
        for batch in batches:
            if batch.num_rows:
                file.write("\n".join(_lines(batch).to_pylist()).encode() + b"\n")
                rows += batch.num_rows
    return rows


def _lines(batch: pa.RecordBatch) -> Arrow:
    """Return the rows as lines of CSV, without their ends."""
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
    r"""Return texts as cells: quoted only if they must be, so that RFC 4180 reads most backslashes as well.

    An import reads `\\` and `\"` as escapes, so backslashes before a quote or the end of a cell, and two
    side by side, are doubled. At the end of a line, an unquoted one is none.
    """
    is_quoted = pc.match_substring_regex(texts, _QUOTED)
    doubled = pc.replace_substring_regex(texts, _ESCAPED, r"\1\1\2\3\3")
    quoted = pc.binary_join_element_wise("", pc.replace_substring(doubled, '"', '""'), "", '"')
    plain = doubled
    if is_last:
        is_kept = pc.match_substring_regex(texts, _ENDS_WITH_ONE)
        plain = pc.if_else(is_kept, pc.utf8_slice_codeunits(doubled, 0, -1), doubled)
    return pc.fill_null(pc.if_else(is_quoted, quoted, plain), "")
