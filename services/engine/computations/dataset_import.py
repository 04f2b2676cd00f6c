"""An import: CSV files become Parquet files of the data bucket, a few megabytes in memory at a time."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import pyarrow.parquet as pq

from services.engine.computations import csv_reader
from services.engine.computations.null_cells import NullCells
from services.engine.domain import schemas
from services.engine.domain.locations import Location, as_folder
from services.engine.store.objects import Object, Objects
from shared.errors import Permanent

INVALID_LOCATION = "Invalid Data location."
FEWEST_INTERACTIONS = 1000
MOST_FILES = 10_000
"""Each becomes a part of the dataset, which every training opens."""
# So much that the distinct ids of a batch of rows fit: they are then read back as numbers.
_DICTIONARY_BYTES = 2 * csv_reader.BLOCK_BYTES

Report = Callable[[str, float], None]


@dataclass(frozen=True, slots=True)
class Spec:
    """What to import and where to: `folder` is a prefix of the data bucket; the bounds are of all files."""

    bucket: str
    key: str
    schema: str
    kind: str
    mode: str
    folder: str
    strict: bool
    max_bytes: int
    max_rows: int


def run(spec: Spec, objects: Objects, workspace: Path, report: Report) -> dict[str, Any]:
    """Read every file, write one Parquet object for each; gives the parts and what to warn of."""
    sources = csv_files(objects, Location(spec.bucket, spec.key), deep=False)
    schema = schemas.parse(spec.schema)
    total = sum(source.size for source in sources) or 1
    if len(sources) > MOST_FILES:
        raise Permanent(f"{INVALID_LOCATION} It has {len(sources):,} CSV files; {MOST_FILES:,} are allowed.")
    if total > spec.max_bytes:
        raise Permanent(f"The files have {total:,} bytes; {spec.max_bytes:,} are allowed. Split the import.")
    left = spec.max_rows
    done = 0
    nulls = None if spec.kind == "INTERACTIONS" else NullCells()

    def progress(count: int) -> None:
        nonlocal done
        done += count
        report("read CSV", min(done / total, 1.0))

    parts: list[dict[str, Any]] = []
    for number, source in enumerate(sources):
        path = workspace / f"part-{number:05}.parquet"
        stream = objects.read(source, INVALID_LOCATION, progress)
        rows = _convert(stream, schema, source.name, path, left, nulls)
        left -= rows
        key = f"{spec.folder}{path.name}"
        objects.upload(path, objects.data_bucket, key, INVALID_LOCATION)
        parts.append({"key": key, "rows": rows, "bytes": path.stat().st_size})
        path.unlink()
    warnings = warnings_of(spec, sum(part["rows"] for part in parts))
    if nulls is not None:
        nulls.check()
        warnings += nulls.warnings(schema.columns)
    return {"parts": parts, "warnings": warnings, "null_cells": dict(nulls.counts) if nulls else {}}


def csv_files(objects: Objects, location: Location, *, deep: bool) -> list[Object]:
    """Return the file at a location, or the CSV files in a folder; Permanent when there is none.

    A folder may be named without its slash. Those in its sub-folders too only when `deep`: the service reads
    them for deletions, and not for imports.
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
    read = [source for source in files if deep or "/" not in source.key.removeprefix(location.key)]
    if not read:
        nearby = ": those in its sub-folders are not imported" if files else ""
        raise Permanent(f"{INVALID_LOCATION} There is no .csv file in {location.uri}{nearby}.")
    return read


def _convert(
    stream: IO[bytes], schema: schemas.Schema, name: str, path: Path, most: int, nulls: NullCells | None
) -> int:
    """Write the rows of one file; gives how many. Permanent when there are more than `most`."""
    rows = 0
    arrow = csv_reader.arrow_schema(schema)
    with pq.ParquetWriter(
        path, arrow, compression="zstd", compression_level=1, dictionary_pagesize_limit=_DICTIONARY_BYTES
    ) as writer:
        for batch in csv_reader.batches(stream, schema, name, nulls=nulls):
            rows += batch.num_rows
            if rows > most:
                raise Permanent(f"With {name} the import has too many rows. Split the import.")
            writer.write_batch(batch.cast(arrow))
    if not rows:
        raise Permanent(f"{name} has no rows below its header.")
    return rows


def warnings_of(spec: Spec, rows: int) -> list[str]:
    """What Personalize would refuse; Permanent instead when strict."""
    if spec.kind != "INTERACTIONS" or rows >= FEWEST_INTERACTIONS:
        return []
    sentence = f"The import has {rows} interactions, fewer than {FEWEST_INTERACTIONS}."
    if spec.strict:
        raise Permanent(sentence)
    return [sentence]
