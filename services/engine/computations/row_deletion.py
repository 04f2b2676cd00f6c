"""A deletion: the rows of some users leave the Parquet files that datasets consist of."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from services.engine.computations import csv_reader, dataset_import
from services.engine.domain.locations import Location
from services.engine.domain.schemas import Column, Schema
from services.engine.store.objects import Objects

Report = Callable[[str, float], None]
# The stubs of pyarrow lose the type of most computed columns.
Arrow = Any

USERS = Schema((Column("USER_ID", "string"),))
USERS_FILE = "users.parquet"


@dataclass(frozen=True, slots=True)
class Spec:
    """Which users, which parts, and where new parts go.

    `source` is the bucket and key of a CSV file of users, or of a folder of such files; their ids are left in
    the workspace, in the file `users.parquet`. Without a source the ids are there already. `parts` are keys
    of the data bucket, `folder` is a prefix of it.
    """

    source: tuple[str, str] | None
    parts: list[str]
    folder: str


def run(spec: Spec, objects: Objects, workspace: Path, report: Report) -> dict[str, Any]:
    """Write anew each part that has rows of these users; gives what became of every part."""
    report("read the user ids", 0.0)
    if spec.source is None:
        users: Arrow = pq.read_table(workspace / USERS_FILE).column("USER_ID")
    else:
        users = _users(Location(*spec.source), objects)
        pq.write_table(pa.table({"USER_ID": users}), workspace / USERS_FILE)
    parts = []
    for number, key in enumerate(spec.parts):
        report("delete rows", number / len(spec.parts))
        old, new = workspace / "old.parquet", workspace / f"part-{number:05}.parquet"
        objects.download(objects.data_bucket, key, old)
        rows, removed = rewrite(old, new, users)
        said: dict[str, Any] = {"key": key, "removed": removed}
        if removed:
            fresh = f"{spec.folder}{new.name}"
            objects.upload(new, objects.data_bucket, fresh, dataset_import.INVALID_LOCATION)
            said |= {"fresh": fresh, "rows": rows, "bytes": new.stat().st_size}
        parts.append(said)
        new.unlink()
    return {"parts": parts, "users": len(users), "warnings": []}


def _users(location: Location, objects: Objects) -> Arrow:
    found: list[Arrow] = []
    for source in dataset_import.csv_files(objects, location, deep=True):
        stream = objects.read(source, dataset_import.INVALID_LOCATION)
        rows = csv_reader.batches(stream, USERS, source.name, alone=True)
        found += [batch.column("USER_ID") for batch in rows]
    return pc.unique(pa.chunked_array(found, pa.string()))


def rewrite(old: Path, new: Path, users: Arrow) -> tuple[int, int]:
    """Copy a Parquet file without the rows of these users; gives how many rows stay and how many go."""
    rows = removed = 0
    file = pq.ParquetFile(old)
    with pq.ParquetWriter(new, file.schema_arrow, compression="zstd", compression_level=1) as writer:
        for batch in file.iter_batches():
            gone: Arrow = pc.is_in(batch.column("USER_ID"), value_set=users)
            stay: Arrow = pc.invert(gone)
            kept = batch.filter(stay)
            writer.write_batch(kept)
            rows += kept.num_rows
            removed += batch.num_rows - kept.num_rows
    return rows, removed
