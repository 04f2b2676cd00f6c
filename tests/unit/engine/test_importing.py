"""Which files of a folder are read."""

from __future__ import annotations

from typing import cast

import pytest

from services.engine.domain.locations import Location
from services.engine.store.objects import Object, Objects
from services.engine.worker.importing import csv_files
from shared.errors import Permanent


class Folder:
    """An object store that holds these keys."""

    def __init__(self, *keys: str) -> None:
        self.keys = keys

    def at(self, location: Location, _: str) -> list[Object]:
        return [Object(location.bucket, key, 1) for key in self.keys if key.startswith(location.key)]


def read(place: str, *keys: str, deep: bool = False) -> list[str]:
    objects = cast("Objects", Folder(*keys))
    return [source.key for source in csv_files(objects, Location("bucket", place), deep=deep)]


KEYS = ("in/a.csv", "in/b.CSV", "in/readme.txt", "in/old/c.csv", "in/old/older/d.csv")


def test_a_folder_is_its_csv_files_and_for_deletions_those_of_its_sub_folders_too() -> None:
    assert read("in/", *KEYS) == ["in/a.csv", "in/b.CSV"]
    assert read("in/", *KEYS, deep=True) == ["in/a.csv", "in/b.CSV", "in/old/c.csv", "in/old/older/d.csv"]
    assert read("", "a.csv", "in/b.csv") == ["a.csv"]


def test_a_file_is_taken_whatever_it_is_called() -> None:
    assert read("in/readme.txt", *KEYS) == ["in/readme.txt"]


def test_a_folder_without_csv_files_is_refused() -> None:
    with pytest.raises(Permanent, match=r"There is no \.csv file in s3://bucket/in/\.$"):
        read("in/", "in/readme.txt")
    with pytest.raises(Permanent, match="those in its sub-folders are not imported"):
        read("in/", "in/old/c.csv")
