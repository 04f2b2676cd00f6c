"""Deletion of users from the Parquet objects that a dataset consists of."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from services.engine.computations import computation, csv_reader, dataset_import
from services.engine.computations.computation import Arrow, ReportProgress
from services.engine.computations.dataset_import import INVALID_LOCATION
from services.engine.domain.locations import Location
from services.engine.domain.schemas import Column, Schema
from services.engine.store.objects import ObjectStorage

USERS = Schema((Column("USER_ID", "string"),))
USERS_FILE = "users.parquet"
"""A file of the workspace with the ids of the users to delete, in the column USER_ID."""


@dataclass(frozen=True, slots=True)
class Spec:
    """The users to delete, the parts to delete them from, and the prefix of the rewritten parts.

    `source` is the bucket and key of a CSV file of user ids, or of a folder of such files; the ids are then
    written to the workspace as `users.parquet`. Without a source that file exists already. `parts` are keys
    of the data bucket, `folder` is a prefix of it.
    """

    source: tuple[str, str] | None
    parts: list[str]
    folder: str


@dataclass(frozen=True, slots=True)
class PartResult:
    """A part, the number of rows removed from it, and the part that replaces it if there were any."""

    key: str
    removed: int
    new_key: str = ""
    rows: int = 0
    bytes: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class RowsDeleted(computation.Result):
    """The result for every part, and the number of users."""

    parts: list[PartResult]
    users: int


def run(spec: Spec, objects: ObjectStorage, workspace: Path, report: ReportProgress) -> RowsDeleted:
    """Rewrite each part that has rows of the users.

    Raises Permanent when the file of users can't be read.
    """
    report("read the user ids", 0.0)
    if spec.source is None:
        users: Arrow = pq.read_table(workspace / USERS_FILE).column("USER_ID")
    else:
        users = _read_users(Location(*spec.source), objects)
        pq.write_table(pa.table({"USER_ID": users}), workspace / USERS_FILE)
    parts = []
    for number, key in enumerate(spec.parts):
        report("delete rows", number / len(spec.parts))
        old, new = workspace / "old.parquet", workspace / f"part-{number:05}.parquet"
        objects.download(objects.data_bucket, key, old)
        rows, removed = rewrite(old, new, users)
        if removed:
            new_key = f"{spec.folder}{new.name}"
            objects.upload(new, objects.data_bucket, new_key, INVALID_LOCATION)
            parts.append(PartResult(key, removed, new_key, rows, new.stat().st_size))
        else:
            parts.append(PartResult(key, removed))
        new.unlink()
    return RowsDeleted(parts=parts, users=len(users))


def _read_users(location: Location, objects: ObjectStorage) -> Arrow:
    chunks: list[Arrow] = []
    for source in dataset_import.csv_files(objects, location, recursive=True):
        stream = objects.read(source, INVALID_LOCATION)
        rows = csv_reader.batches(stream, USERS, source.name, exact=True)
        chunks += [batch.column("USER_ID") for batch in rows]
    return pc.unique(pa.chunked_array(chunks, pa.string()))


def rewrite(old: Path, new: Path, users: Arrow) -> tuple[int, int]:
    """Copy a Parquet file without the rows of these users; return the number of rows kept and removed."""
    rows = removed = 0
    file = pq.ParquetFile(old)
    with pq.ParquetWriter(new, file.schema_arrow, compression="zstd", compression_level=1) as writer:
        for batch in file.iter_batches():
            is_removed: Arrow = pc.is_in(batch.column("USER_ID"), value_set=users)
            is_kept: Arrow = pc.invert(is_removed)
            kept = batch.filter(is_kept)
            writer.write_batch(kept)
            rows += kept.num_rows
            removed += batch.num_rows - kept.num_rows
    return rows, removed
