"""Which files of a folder are read, and how much of them."""

from __future__ import annotations

import io
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import IO, cast

import pytest

from services.engine.computations.dataset_import import Spec, csv_files, run
from services.engine.domain.locations import Location
from services.engine.store.objects import Object, ObjectStorage
from shared.errors import Permanent

SCHEMA = json.dumps(
    {
        "type": "record",
        "name": "Users",
        "fields": [{"name": "USER_ID", "type": "string"}, {"name": "AGE", "type": ["null", "int"]}],
    }
)


class Folder:
    """An object store that holds these keys."""

    def __init__(self, *keys: str) -> None:
        self.keys = keys

    def find(self, location: Location, _: str) -> Object | None:
        return Object(location.bucket, location.key, 1) if location.key in self.keys else None

    def matching(self, location: Location, _: str) -> list[Object]:
        return [Object(location.bucket, key, 1) for key in self.keys if key.startswith(location.key)]

    data_bucket = "endcap-data"

    def read(self, _: Object, __: str, seen: Callable[[int], None]) -> IO[bytes]:
        seen(1)
        return io.BufferedReader(io.BytesIO(b"USER_ID,AGE\nu1,3\nu2,\n"))  # type: ignore[type-var]

    def upload(self, path: Path, *_: str) -> None:
        assert path.exists()


def read(place: str, *keys: str, recursive: bool = False) -> list[str]:
    objects = cast("ObjectStorage", Folder(*keys))
    return [source.key for source in csv_files(objects, Location("bucket", place), recursive=recursive)]


KEYS = ("in/a.csv", "in/b.CSV", "in/readme.txt", "in/old/c.csv", "in/old/older/d.csv")


def test_a_folder_is_its_csv_files_and_for_deletions_those_of_its_sub_folders_too() -> None:
    assert read("in/", *KEYS) == ["in/a.csv", "in/b.CSV"]
    assert read("in/", *KEYS, recursive=True) == [
        "in/a.csv",
        "in/b.CSV",
        "in/old/c.csv",
        "in/old/older/d.csv",
    ]
    assert read("", "a.csv", "in/b.csv") == ["a.csv"]


@pytest.mark.parametrize("recursive", [False, True])
def test_a_folder_may_be_named_without_its_slash(*, recursive: bool) -> None:
    beside = (*KEYS, "in-2/e.csv", "in.csv")

    assert read("in", *beside, recursive=recursive) == read("in/", *KEYS, recursive=recursive)
    # An object of that very name is meant first.
    assert read("in", "in", *beside, recursive=recursive) == ["in"]


def test_a_file_is_taken_whatever_it_is_called() -> None:
    assert read("in/readme.txt", *KEYS) == ["in/readme.txt"]


def test_a_folder_without_csv_files_is_refused() -> None:
    with pytest.raises(Permanent, match=r"There is no \.csv file in s3://bucket/in/\.$"):
        read("in/", "in/readme.txt")
    with pytest.raises(Permanent, match="those in its sub-folders are not imported"):
        read("in/", "in/old/c.csv")


@pytest.mark.parametrize(
    ("max_bytes", "max_rows", "files", "what"),
    [
        (1, 9, 2, "The files have 2 bytes; 1 are allowed. Split the import."),
        (9, 3, 2, "With 1.csv the import has too many rows. Split the import."),
        (10**6, 9, 10_001, "It has 10,001 CSV files; 10,000 are allowed."),
    ],
)
def test_an_import_is_bounded(tmp_path: Path, max_bytes: int, max_rows: int, files: int, what: str) -> None:
    objects = cast("ObjectStorage", Folder(*(f"in/{number}.csv" for number in range(files))))
    spec = Spec("bucket", "in/", SCHEMA, "USERS", "FULL", "shop/", False, max_bytes, max_rows)

    with pytest.raises(Permanent, match=re.escape(what)):
        run(spec, objects, tmp_path, lambda *_: None)


def test_an_import_within_its_bounds_is_taken(tmp_path: Path) -> None:
    objects = cast("ObjectStorage", Folder("in/0.csv", "in/1.csv"))

    spec = Spec("bucket", "in/", SCHEMA, "USERS", "FULL", "shop/", False, 2, 4)

    result = run(spec, objects, tmp_path, lambda *_: None)

    assert [part.rows for part in result.parts] == [2, 2]
