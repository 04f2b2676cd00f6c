"""Computations in child processes: what comes back, and what becomes of one that dies."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from services.engine.computations import computation, launcher
from services.engine.computations.computation import Computation, ReportProgress
from services.engine.computations.dataset_import import Part
from services.engine.store.objects import ObjectStorage
from shared.errors import Permanent, Transient


@dataclass(frozen=True, slots=True)
class Spec:
    """The number to return, or how to end."""

    number: int = 0
    ending: str = "result"


@dataclass(frozen=True, slots=True, kw_only=True)
class Counted(computation.Result):
    """A part with as many rows as the spec has."""

    part: Part


def count(spec: Spec, _: ObjectStorage, workspace: Path, report: ReportProgress) -> Counted:
    """Return a result, or end as the spec wants it."""
    report("count", 0.5)
    if spec.ending in ENDINGS:
        ENDINGS[spec.ending](workspace)
    return Counted(part=Part("a", spec.number, 2), warnings=["few"])


def _raise(error: Exception) -> None:
    raise error


def _sleep(workspace: Path) -> None:
    (workspace / "pid").write_text(str(os.getpid()))
    time.sleep(60)


ENDINGS: dict[str, Callable[[Path], Any]] = {
    "permanent": lambda _: _raise(Permanent("wrong input")),
    "transient": lambda _: _raise(Transient("no store")),
    "bug": lambda _: _raise(KeyError("column")),
    "exit": lambda _: os._exit(3),
    "killed": lambda _: os.kill(os.getpid(), signal.SIGKILL),
    "sleep": _sleep,
    "large": lambda _: np.ones(1 << 28).sum(),
}
COUNT = Computation("count", Spec, Counted, count)


@pytest.fixture(autouse=True)
def store_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    """An object store that nobody calls."""
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", "http://127.0.0.1:9")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "key")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")


async def ignore(_: dict[str, Any]) -> None:
    """Take a report of progress."""


async def test_a_result_comes_back_in_its_type(tmp_path: Path) -> None:
    reports: list[dict[str, Any]] = []

    async def on_progress(report: dict[str, Any]) -> None:
        reports.append(report)

    result = await launcher.run(COUNT, Spec(7), tmp_path, on_progress)

    assert result == Counted(part=Part("a", 7, 2), warnings=["few"])
    assert reports == [{"step": "count", "share": 0.5}]


@pytest.mark.parametrize(
    ("ending", "error", "sentence"),
    [
        ("permanent", Permanent, "^wrong input$"),
        ("transient", Transient, "^no store$"),
        ("bug", Permanent, "An unexpected error, KeyError: 'column'"),
        ("exit", Permanent, "ended unexpectedly with status 3"),
        ("killed", Permanent, "was killed, most likely because the machine had no memory left"),
    ],
)
async def test_an_error_comes_back_in_its_type(
    tmp_path: Path, ending: str, error: type[Exception], sentence: str
) -> None:
    with pytest.raises(error, match=sentence):
        await launcher.run(COUNT, Spec(ending=ending), tmp_path, ignore)


async def test_cancelling_kills_the_child(tmp_path: Path) -> None:
    running = asyncio.create_task(launcher.run(COUNT, Spec(ending="sleep"), tmp_path, ignore))
    pid_file = tmp_path / "pid"
    while not (pid_file.exists() and pid_file.read_text()):
        assert not running.done()
        await asyncio.sleep(0.01)
    pid = int(pid_file.read_text())

    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running

    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


async def test_a_computation_that_needs_more_than_its_memory_fails_alone(tmp_path: Path) -> None:
    with pytest.raises(Permanent, match="more memory than the 1024 MiB of ENGINE_JOB_MEMORY_MIB"):
        await launcher.run(COUNT, Spec(ending="large"), tmp_path, ignore, memory_mib=1024)
    assert (await launcher.run(COUNT, Spec(7), tmp_path, ignore, memory_mib=1024)).part.rows == 7
