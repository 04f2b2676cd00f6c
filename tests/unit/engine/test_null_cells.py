"""Cells of items and users that do not fit their column are null, and the import counts them."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any, cast

import pyarrow.parquet as pq
import pytest

from services.engine.computations import csv_reader
from services.engine.computations.dataset_import import Spec, run
from services.engine.store.objects import Object, ObjectStorage
from shared.errors import Permanent

FIELDS = {
    "ITEM_ID": "string",
    "YEAR": "int",
    "PRICE": ["null", "float"],
    "WEIGHT": "double",
    "VEGAN": "boolean",
    "CREATION_TIMESTAMP": ["null", "long"],
    "NAME": "string",
}
HEADER = ",".join(FIELDS)


class Store:
    """An object store with one file in it; keeps the rows of what is uploaded."""

    data_bucket = "endcap-data"

    def __init__(self, text: str) -> None:
        self.text = text
        self.rows: list[dict[str, Any]] = []

    def at(self, *_: Any) -> list[Object]:
        return [Object("bucket", "items.csv", 1)]

    def find(self, *_: Any) -> Object:
        return self.at()[0]

    def read(self, _: Object, __: str, seen: Callable[[int], None]) -> IO[bytes]:
        seen(1)
        return io.BufferedReader(io.BytesIO(self.text.encode()))  # type: ignore[type-var]

    def upload(self, path: Path, *_: str) -> None:
        self.rows += pq.read_table(path).to_pylist()


def imported(folder: Path, *rows: str, kind: str = "ITEMS", header: str = HEADER) -> tuple[Store, Any]:
    fields = FIELDS if kind == "ITEMS" else {"USER_ID": "string", "ITEM_ID": "string", "TIMESTAMP": "long"}
    schema = {"type": "record", "name": kind.title()}
    schema["fields"] = [{"name": name, "type": type_} for name, type_ in fields.items()]  # type: ignore[assignment]
    store = Store("\n".join([header, *rows]) + "\n")
    text = json.dumps(schema)
    spec = Spec("bucket", "items.csv", text, kind, "FULL", "shop/", False, 10**6, 10**6)
    return store, run(spec, cast("ObjectStorage", store), folder, lambda *_: None)


GOOD = "a,2007,1.5,0.5,true,1700000000,Cup"


def test_a_cell_that_does_not_fit_is_null_and_its_row_is_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(csv_reader, "BLOCK_BYTES", 100)
    store, result = imported(
        tmp_path,
        *[GOOD] * 20,
        "b,2006–2007,1.5,0.5,true,1700000000,Cup",
        "c,,,,,,",
        "d,12.0,dear,nan,yes,1700000000000,Cup",
        "e,4000000000,1e39,inf,TRUE,soon, ",
        "f, 7 ,2,1,False,,Cup",
    )

    shown = {row.pop("ITEM_ID"): list(row.values()) for row in store.rows}
    assert len(store.rows) == 25
    assert shown == {
        "a": [2007, 1.5, 0.5, True, 1_700_000_000, "Cup"],
        "b": [None, 1.5, 0.5, True, 1_700_000_000, "Cup"],
        "c": [None, None, None, None, None, None],
        "d": [12, None, None, None, None, "Cup"],
        "e": [None, None, None, True, None, " "],
        "f": [7, 2.0, 1.0, False, None, "Cup"],
    }
    assert result.null_cells == {
        "YEAR": 3, "PRICE": 2, "WEIGHT": 3, "VEGAN": 2, "CREATION_TIMESTAMP": 2, "NAME": 1,
    }  # fmt: skip
    assert result.warnings[-1] == (
        "3 cells of YEAR are null, since they hold no int: "
        "items.csv, row 22 (the header is row 1) has '2006–2007'."
    )
    assert "row 23 (the header is row 1) is empty" in result.warnings[1]


def test_a_file_whose_cells_all_fit_has_no_such_report(tmp_path: Path) -> None:
    _, result = imported(tmp_path, GOOD, "b,2007,,1,false,,Cup")

    assert (result.null_cells, result.warnings) == ({}, [])


def test_creation_times_in_another_unit_are_refused_where_no_cell_fits(tmp_path: Path) -> None:
    with pytest.raises(
        Permanent, match=r"No CREATION_TIMESTAMP .* row 3 .* has '1700000000000' \(are these milliseconds\?\)"
    ):
        imported(tmp_path, "a,1,1,1,true,,Cup", "b,1,1,1,true,1700000000000,Cup")


@pytest.mark.parametrize(
    ("row", "sentence"),
    [(",1,1,1,true,1,Cup", "ITEM_ID is empty"), ("i" * 257 + ",1,1,1,true,1,Cup", "longer")],
)
def test_ids_stay_strict(tmp_path: Path, row: str, sentence: str) -> None:
    with pytest.raises(Permanent, match=sentence):
        imported(tmp_path, row)


def test_interactions_stay_strict(tmp_path: Path) -> None:
    with pytest.raises(Permanent, match="TIMESTAMP has the value 'soon', which is no long"):
        imported(tmp_path, "u,i,5", "u,i,soon", kind="INTERACTIONS", header="USER_ID,ITEM_ID,TIMESTAMP")
