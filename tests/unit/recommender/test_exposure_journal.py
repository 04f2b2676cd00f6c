"""Exposures on disk: what a killed process had not settled is taken over once, in order."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from services.recommender.store import exposure_journal
from services.recommender.store.exposure_journal import ExposureJournal


def killed(folder: Path, added: int, settled: int = 0, first: int = 0) -> None:
    """Leave the files of a process that was killed."""
    pid = os.fork()
    if pid == 0:
        journal = ExposureJournal(folder)
        for n in range(first, first + added):
            journal.append(b"%d" % n)
        journal.settle(settled)
        os._exit(9)
    os.waitpid(pid, 0)


def files(folder: Path) -> int:
    return len(list(folder.iterdir()))


def test_the_next_process_takes_over_what_is_not_settled(tmp_path: Path) -> None:
    killed(tmp_path, added=5, settled=2)
    journal, another = ExposureJournal(tmp_path), ExposureJournal(tmp_path)

    assert journal.take_over() == [b"2", b"3", b"4"]
    assert another.take_over() == []
    journal.append(b"5")
    journal.settle(3)
    assert journal.close() == 1
    assert another.take_over() == [b"5"]
    another.settle(1)
    assert (another.close(), files(tmp_path)) == (0, 0)


def test_files_of_several_processes_are_taken_over_oldest_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(exposure_journal, "FILE_BYTES", 20)
    killed(tmp_path, added=4, settled=3)
    killed(tmp_path, added=2, first=10)
    journal = ExposureJournal(tmp_path)

    # Nine bytes each: a file has three, and the first is gone.
    assert journal.take_over() == [b"3", b"10", b"11"]
    journal.settle(2)
    assert files(tmp_path) == 1
    journal.settle(1)
    assert files(tmp_path) == 0


def test_a_file_begins_again_when_nothing_waits(tmp_path: Path) -> None:
    journal = ExposureJournal(tmp_path)
    for _ in range(100):
        journal.append(b"x" * 100)
        journal.settle(1)
    (path,) = tmp_path.iterdir()

    assert path.stat().st_size == 8
    journal.append(b"last")
    assert journal.close() == 1
    assert ExposureJournal(tmp_path).take_over() == [b"last"]


@pytest.mark.parametrize("cut", [1, 4, 8, 9])
def test_what_was_cut_off_is_left_out(tmp_path: Path, cut: int) -> None:
    killed(tmp_path, added=3)
    (path,) = tmp_path.iterdir()
    os.truncate(path, path.stat().st_size - cut)

    assert ExposureJournal(tmp_path).take_over() == [b"0", b"1"]


def test_a_faulty_file_stops_nothing(tmp_path: Path) -> None:
    (tmp_path / "a.exposure-journal").write_bytes(b"")
    (tmp_path / "b.exposure-journal").write_bytes(b"\xff" * 40)
    killed(tmp_path, added=1)
    journal = ExposureJournal(tmp_path)

    assert journal.take_over() == [b"0"]
    journal.settle(1)
    assert journal.close() == 0


def test_without_a_folder_nothing_is_kept() -> None:
    journal = ExposureJournal(Path("/dev/null/state"))

    assert journal.take_over() == []
    journal.append(b"0")
    journal.settle(1)
    assert journal.close() == 0
