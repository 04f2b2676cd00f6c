"""Which copies of models stay on local disk."""

from __future__ import annotations

import os
from pathlib import Path

from services.recommender.store.copies import tidy


def a_folder(parent: Path, name: str, age: float) -> str:
    folder = parent / name
    folder.mkdir()
    (folder / "meta.json").write_text("{}")
    now = parent.stat().st_mtime
    os.utime(folder, (now - age, now - age))
    return name


def test_copies_in_use_and_the_newest_others_stay(tmp_path: Path) -> None:
    names = [a_folder(tmp_path, str(n) * 64, age=n * 60) for n in range(6)]

    gone = tidy(tmp_path, {names[5]}, keep=2)

    assert gone == [names[2], names[3], names[4]]
    assert {entry.name for entry in tmp_path.iterdir()} == {names[0], names[1], names[5]}


def test_what_a_killed_process_was_copying_goes_later(tmp_path: Path) -> None:
    a_folder(tmp_path, ".copying-now", age=10)
    old = a_folder(tmp_path, ".copying-dead", age=7200)
    stranger = a_folder(tmp_path, "somebody-elses", age=7200)

    assert tidy(tmp_path, set(), keep=0) == [old]
    assert {entry.name for entry in tmp_path.iterdir()} == {".copying-now", stranger}


def test_no_folder_is_nothing_to_do(tmp_path: Path) -> None:
    assert tidy(tmp_path / "none", set(), keep=0) == []
