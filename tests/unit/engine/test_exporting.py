"""Exports: what is written is read again as it was."""

from __future__ import annotations

import io
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from services.engine.domain.schemas import Column, Schema
from services.engine.worker import exporting, reading

SCHEMA = Schema(
    (
        Column("ITEM_ID", "string"),
        Column("NAME", "string", nullable=True),
        Column("PRICE", "float", nullable=True),
        Column("SOLD", "boolean", nullable=True),
    )
)
ROWS = [
    {"ITEM_ID": "a", "NAME": 'a "great", cheap\\ thing', "PRICE": 1.5, "SOLD": True},
    {"ITEM_ID": "b", "NAME": "two\nlines", "PRICE": None, "SOLD": False},
    {"ITEM_ID": "c", "NAME": None, "PRICE": 0.1, "SOLD": None},
]


def test_an_import_reads_what_an_export_wrote(tmp_path: Path) -> None:
    arrow = reading.arrow_schema(SCHEMA)
    path = tmp_path / "rows.csv"

    rows = exporting.write(iter(pa.Table.from_pylist(ROWS, schema=arrow).to_batches()), SCHEMA, path)

    stream = io.BufferedReader(io.BytesIO(path.read_bytes()))  # type: ignore[type-var]
    again = [row for batch in reading.batches(stream, SCHEMA, "a.csv") for row in batch.to_pylist()]
    expected = pa.Table.from_pylist(ROWS, schema=arrow).to_pylist()
    assert (rows, again) == (3, expected)
    assert path.read_text().splitlines()[0] == "ITEM_ID,NAME,PRICE,SOLD"


def test_of_rows_that_share_an_id_the_newest_is_kept(tmp_path: Path) -> None:
    paths = [tmp_path / "0.parquet", tmp_path / "1.parquet"]
    for path, ids in zip(paths, (["a", "b", "a", "c"], ["b", "d"]), strict=True):
        pq.write_table(pa.table({"ITEM_ID": ids}), path)

    first, second = exporting.newest(paths, "ITEM_ID")

    assert first.tolist() == [False, False, True, True]
    assert second.tolist() == [True, True]
