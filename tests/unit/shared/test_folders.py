"""Names that come from outside never lead out of their folder."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared import folders
from shared.errors import Permanent

parts = st.sampled_from(["..", ".", "a", "\\", "/", "\0", "é", ""])


@given(name=st.lists(parts, max_size=5).map("".join))
def test_a_name_is_an_entry_of_its_folder_or_refused(name: str) -> None:
    folder = Path("/folder/of/files")
    try:
        entry = folders.inside(folder, name)
    except Permanent:
        return
    assert entry.parent == folder
    assert Path(entry.as_posix()).resolve().parent == folder.resolve()


@pytest.mark.parametrize("name", ["../victim", "..", ".", "", "a/../../victim", "/victim"])
def test_nothing_outside_is_removed(tmp_path: Path, name: str) -> None:
    folder, victim = tmp_path / "folder", tmp_path / "victim"
    for each in (folder, victim):
        each.mkdir()

    with pytest.raises(Permanent, match="not the name of a file"):
        folders.remove(folder, name, missing_ok=True)

    assert folder.is_dir()
    assert victim.is_dir()


def test_a_folder_goes_with_what_it_holds_and_a_link_alone() -> None:
    with tempfile.TemporaryDirectory() as parent:
        folder = Path(parent)
        (folder / "old" / "deep").mkdir(parents=True)
        (folder / "kept").mkdir()
        (folder / "link").symlink_to(folder / "kept")

        folders.remove(folder, "old")
        folders.remove(folder, "link")
        folders.remove(folder, "gone", missing_ok=True)

        assert [entry.name for entry in folder.iterdir()] == ["kept"]
