"""Import of a dataset: convert CSV files to Parquet objects of the data bucket, a few megabytes at a time.

See docs/decisions/0018-datasets.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import IO

import pyarrow.parquet as pq

from services.engine.computations import computation, csv_reader
from services.engine.computations.computation import ReportProgress
from services.engine.computations.null_cells import NullCells
from services.engine.domain import schemas
from services.engine.domain.locations import Location, as_folder
from services.engine.store.objects import Object, ObjectStorage
from shared.errors import Permanent

INVALID_LOCATION = "Invalid Data location."
MIN_INTERACTIONS = 1000
"""Fewer are refused by Amazon Personalize."""

MAX_FILES = 10_000
"""Arbitrary: each file becomes an object that every training of the dataset opens."""

_DICTIONARY_BYTES = 2 * csv_reader.BLOCK_BYTES
"""Large enough for the distinct ids of a batch of rows, so that a training reads them as integers."""


@dataclass(frozen=True, slots=True)
class Spec:
    """The source of an import, and where its objects go.

    `bucket` and `key` are an object or a folder, `schema` is the Avro schema as JSON, `kind` the type of the
    dataset, `mode` the import mode. `folder` is a prefix of the data bucket. `max_bytes` and `max_rows` are
    limits for all files together. With `strict` a warning is an error.
    """

    bucket: str
    key: str
    schema: str
    kind: str
    mode: str
    folder: str
    strict: bool
    max_bytes: int
    max_rows: int


@dataclass(frozen=True, slots=True)
class Part:
    """An object of the data bucket that holds rows of a dataset."""

    key: str
    rows: int
    bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Imported(computation.Result):
    """The objects of an import, one a file, and the number of null cells by column."""

    parts: list[Part]
    null_cells: dict[str, int]


def run(spec: Spec, objects: ObjectStorage, workspace: Path, report: ReportProgress) -> Imported:
    """Convert every CSV file to a Parquet object.

    Raises Permanent when there is no CSV file, when a file breaks the rules, or when a limit is exceeded.
    """
    sources = csv_files(objects, Location(spec.bucket, spec.key), recursive=False)
    schema = schemas.parse(spec.schema)
    total_bytes = sum(source.size for source in sources) or 1
    _check_limits(spec, len(sources), total_bytes)
    rows_left = spec.max_rows
    read_bytes = 0
    nulls = None if spec.kind == "INTERACTIONS" else NullCells()

    def progress(chunk_bytes: int) -> None:
        nonlocal read_bytes
        read_bytes += chunk_bytes
        report("read CSV", min(read_bytes / total_bytes, 1.0))

    parts: list[Part] = []
    for number, source in enumerate(sources):
        path = workspace / f"part-{number:05}.parquet"
        stream = objects.read(source, INVALID_LOCATION, progress)
        rows = _convert(stream, schema, source.name, path, rows_left, nulls)
        rows_left -= rows
        key = f"{spec.folder}{path.name}"
        objects.upload(path, objects.data_bucket, key, INVALID_LOCATION)
        parts.append(Part(key, rows, path.stat().st_size))
        path.unlink()
    warnings = check_size(spec, sum(part.rows for part in parts))
    if nulls is not None:
        nulls.check()
        warnings += nulls.warnings(schema.columns)
    return Imported(parts=parts, null_cells=dict(nulls.counts) if nulls else {}, warnings=warnings)


def _check_limits(spec: Spec, files: int, total_bytes: int) -> None:
    if files > MAX_FILES:
        raise Permanent(f"{INVALID_LOCATION} It has {files:,} CSV files; {MAX_FILES:,} are allowed.")
    if total_bytes > spec.max_bytes:
        raise Permanent(
            f"The files have {total_bytes:,} bytes; {spec.max_bytes:,} are allowed. Split the import."
        )


def csv_files(objects: ObjectStorage, location: Location, *, recursive: bool) -> list[Object]:
    """Return the object at a location, or the CSV files in a folder.

    A folder may be named without its trailing slash. Files in its subfolders are included only when
    `recursive`: Amazon Personalize reads them for deletions, and not for imports.

    Raises Permanent when there is none.
    """
    file = objects.find(location, INVALID_LOCATION)
    if file is not None:
        return [file]
    location = Location(location.bucket, as_folder(location.key))
    files = [
        source
        for source in objects.matching(location, INVALID_LOCATION)
        if source.name.lower().endswith(".csv")
    ]
    selected = [source for source in files if recursive or "/" not in source.key.removeprefix(location.key)]
    if not selected:
        nearby = ": those in its sub-folders are not imported" if files else ""
        raise Permanent(f"{INVALID_LOCATION} There is no .csv file in {location.uri}{nearby}.")
    return selected


def _convert(
    stream: IO[bytes], schema: schemas.Schema, name: str, path: Path, max_rows: int, nulls: NullCells | None
) -> int:
    """Write the rows of one file to `path` and return their number; Permanent for 0 or over `max_rows`."""
    rows = 0
    arrow = csv_reader.arrow_schema(schema)
    with pq.ParquetWriter(
        path, arrow, compression="zstd", compression_level=1, dictionary_pagesize_limit=_DICTIONARY_BYTES
    ) as writer:
        for batch in csv_reader.batches(stream, schema, name, nulls=nulls):
            rows += batch.num_rows
            if rows > max_rows:
                raise Permanent(f"With {name} the import has too many rows. Split the import.")
            writer.write_batch(batch.cast(arrow))
    if not rows:
        raise Permanent(f"{name} has no rows below its header.")
    return rows


def check_size(spec: Spec, rows: int) -> list[str]:
    """Return the warning for an import with too few interactions; raise it as Permanent when strict."""
    if spec.kind != "INTERACTIONS" or rows >= MIN_INTERACTIONS:
        return []
    sentence = f"The import has {rows} interactions, fewer than {MIN_INTERACTIONS}."
    if spec.strict:
        raise Permanent(sentence)
    return [sentence]
