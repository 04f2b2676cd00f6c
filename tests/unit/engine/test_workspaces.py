"""Where an attempt at a job keeps its files."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path

from services.engine.jobs.workspaces import workspace
from shared.jobs import Job


def job(identifier: int, attempt: int) -> Job:
    return Job(identifier, "training", "7", {}, attempt, {}, "me", None)  # type: ignore[arg-type]


def test_a_worker_that_wakes_up_late_leaves_the_files_of_the_next_attempt_alone(tmp_path: Path) -> None:
    with ExitStack() as others:
        with workspace(tmp_path, job(7, 1)) as late:
            (late / "old").touch()
            unrelated = others.enter_context(workspace(tmp_path, job(77, 1)))
            # The lease ran out: another worker has taken the job over.
            mine = others.enter_context(workspace(tmp_path, job(7, 2)))
            (mine / "new").touch()

        assert [path.name for path in mine.iterdir()] == ["new"]
        assert set(tmp_path.iterdir()) == {unrelated, mine}
    assert list(tmp_path.iterdir()) == []
