"""Exports: what is written is read again as it was."""

from __future__ import annotations

import csv
import io
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from hypothesis import given
from hypothesis import strategies as st

from services.engine.computations import csv_reader, dataset_export
from services.engine.domain.schemas import Column, Schema

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
    arrow = csv_reader.arrow_schema(SCHEMA)
    path = tmp_path / "rows.csv"

    rows = dataset_export.write(iter(pa.Table.from_pylist(ROWS, schema=arrow).to_batches()), SCHEMA, path)

    stream = io.BufferedReader(io.BytesIO(path.read_bytes()))  # type: ignore[type-var]
    again = [row for batch in csv_reader.batches(stream, SCHEMA, "a.csv") for row in batch.to_pylist()]
    expected = pa.Table.from_pylist(ROWS, schema=arrow).to_pylist()
    assert (rows, again) == (3, expected)
    assert path.read_text().splitlines()[0] == "ITEM_ID,NAME,PRICE,SOLD"


TEXTS = st.text(st.sampled_from('ab\\\\",\n ä'), max_size=6)


@given(st.lists(st.tuples(TEXTS, TEXTS), min_size=1, max_size=6))
def test_an_import_reads_any_text_that_an_export_wrote(tmp_path_factory: Any, texts: list[Any]) -> None:
    columns = (Column(name, "string", nullable=True) for name in "AB")
    schema = Schema((Column("ITEM_ID", "string"), *columns))
    rows = [{"ITEM_ID": f"i{number}", "A": a or None, "B": b or None} for number, (a, b) in enumerate(texts)]
    table = pa.Table.from_pylist(rows, schema=csv_reader.arrow_schema(schema))
    path = tmp_path_factory.mktemp("export") / "rows.csv"

    dataset_export.write(iter(table.to_batches()), schema, path)

    stream = io.BufferedReader(io.BytesIO(path.read_bytes()))  # type: ignore[type-var]
    again = [row for batch in csv_reader.batches(stream, schema, "a.csv") for row in batch.to_pylist()]
    assert again == rows


def test_most_backslashes_are_those_that_rfc_4180_reads(tmp_path: Path) -> None:
    """Programs read an export with the csv module of their language, which knows no escapes."""
    schema = Schema((Column("ITEM_ID", "string"), Column("NOTE", "string", nullable=True)))
    rows = [
        {"ITEM_ID": "SKU\\123", "NOTE": "plain"},
        {"ITEM_ID": "b", "NOTE": "folder C:\\parts\\"},
        {"ITEM_ID": "c", "NOTE": 'a 5" pipe, C:\\x'},
    ]
    path = tmp_path / "rows.csv"

    dataset_export.write(
        iter(pa.Table.from_pylist(rows, schema=csv_reader.arrow_schema(schema)).to_batches()), schema, path
    )

    with path.open(newline="") as file:
        assert list(csv.DictReader(file)) == rows


def test_of_rows_that_share_an_id_the_newest_is_kept(tmp_path: Path) -> None:
    paths = [tmp_path / "0.parquet", tmp_path / "1.parquet"]
    for path, ids in zip(paths, (["a", "b", "a", "c"], ["b", "d"]), strict=True):
        pq.write_table(pa.table({"ITEM_ID": ids}), path)

    first, second = dataset_export.newest_rows(paths, "ITEM_ID")

    assert first.tolist() == [False, False, True, True]
    assert second.tolist() == [True, True]
