"""Which copies of models are kept on local disk."""

from __future__ import annotations

import os
from io import BytesIO
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from services.recommender.store.model_copies import ModelCopies, remove_unused
from shared.errors import Permanent


def a_folder(parent: Path, name: str, age: float) -> str:
    folder = parent / name
    folder.mkdir()
    (folder / "meta.json").write_text("{}")
    now = parent.stat().st_mtime
    os.utime(folder, (now - age, now - age))
    return name


def test_copies_in_use_and_the_newest_others_are_kept(tmp_path: Path) -> None:
    names = [a_folder(tmp_path, str(n) * 64, age=n * 60) for n in range(6)]

    removed = remove_unused(tmp_path, {names[5]}, keep=2)

    assert removed == [names[2], names[3], names[4]]
    assert {entry.name for entry in tmp_path.iterdir()} == {names[0], names[1], names[5]}


def test_an_unfinished_copy_of_a_killed_process_is_removed_later(tmp_path: Path) -> None:
    a_folder(tmp_path, ".copying-now", age=10)
    old = a_folder(tmp_path, ".copying-dead", age=7200)
    stranger = a_folder(tmp_path, "somebody-elses", age=7200)

    assert remove_unused(tmp_path, set(), keep=0) == [old]
    assert {entry.name for entry in tmp_path.iterdir()} == {".copying-now", stranger}


def test_a_missing_folder_is_no_error(tmp_path: Path) -> None:
    assert remove_unused(tmp_path / "none", set(), keep=0) == []


@pytest.mark.parametrize(
    "sha256", ["../victim", "..", "", ".", "/victim", "A" * 64, "a" * 63, "a" * 64 + "/.."]
)
def test_an_invalid_sha256_is_rejected(tmp_path: Path, sha256: str) -> None:
    """The copy is verified even if a record got past the contract."""
    models, victim = tmp_path / "models", tmp_path / "victim"
    for folder in (models, victim):
        folder.mkdir()
    campaign = cast("Any", SimpleNamespace(model_sha256=sha256, model_uri="s3://bucket/model"))

    with pytest.raises(Permanent, match="SHA-256"):
        ModelCopies(cast("Any", None), models, keep=0).load(campaign)

    assert victim.is_dir()
    assert models.is_dir()


def test_a_symbolic_link_among_the_copies_is_removed_but_not_its_target(tmp_path: Path) -> None:
    models, victim = tmp_path / "models", tmp_path / "victim"
    for folder in (models, victim):
        folder.mkdir()
    (victim / "file").write_text("kept")
    (models / ("a" * 64)).symlink_to(victim)
    (models / ("b" * 64)).symlink_to(victim)

    assert sorted(remove_unused(models, {"b" * 64}, keep=0)) == ["a" * 64]
    with pytest.raises(OSError, match="no store"):
        ModelCopies(cast("Any", NoStore()), models, keep=0).load(
            cast("Any", SimpleNamespace(model_sha256="b" * 64, model_uri="s3://bucket/model"))
        )

    assert list(models.iterdir()) == []
    assert (victim / "file").read_text() == "kept"


@pytest.mark.parametrize("key", ["../victim", "..", "deep/er", "."])
def test_an_object_key_that_leaves_the_folder_is_rejected(tmp_path: Path, key: str) -> None:
    with pytest.raises(Permanent, match="name of a file"):
        ModelCopies(cast("Any", OneObject(f"model/{key}")), tmp_path / "models", keep=0).load(
            cast("Any", SimpleNamespace(model_sha256="b" * 64, model_uri="s3://bucket/model"))
        )

    assert [entry.name for entry in tmp_path.iterdir()] == ["models"]


class NoStore:
    """An object store that is unavailable."""

    def get_paginator(self, _: str) -> Any:
        raise OSError("no store")


class OneObject:
    """An object store with one object."""

    def __init__(self, key: str) -> None:
        self._key = key

    def get_paginator(self, _: str) -> Any:
        return self

    def paginate(self, **_: Any) -> Any:
        return [{"Contents": [{"Key": self._key}]}]

    def get_object(self, **_: Any) -> Any:
        return {"ContentLength": 6, "Body": BytesIO(b"a file")}
