"""The folder on the worker's disk for the temporary files of one attempt at a job."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from shared.jobs import Job


@contextmanager
def workspace(folder: Path, job: Job) -> Iterator[Path]:
    """Yield an empty folder for one attempt at a job, below `folder`, and remove it afterwards.

    Folders of earlier attempts are removed first. Each attempt has a folder of its own, so that a worker
    that wakes up after its lease was lost removes its own files alone.
    """
    for leftover in folder.glob(f"{job.kind}-{job.id}-*"):
        shutil.rmtree(leftover, ignore_errors=True)
    path = folder / f"{job.kind}-{job.id}-{job.attempt}"
    path.mkdir(parents=True)
    try:
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)
