"""Ends what is left of a stack whose supervisor was killed.

A process of the stack is known by the root in its environment. PostgreSQL overwrites its
environment with its title, so the server is found by its own pid file.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

from deploy.local.environment import ROOT_VARIABLE
from deploy.local.failure import StackError

_PROC = Path("/proc")


def end_orphans(root: Path, *, seconds: float) -> None:
    """Tell every process of this stack to end, and kill what has not by then."""
    for pid in _marked(root):
        _signal(pid, signal.SIGTERM)
    for pid in _postmaster(root):
        _signal(pid, signal.SIGINT)  # SIGTERM would wait until every session has gone
    deadline = time.monotonic() + seconds
    while left := list(_processes(root)):
        if time.monotonic() > deadline:
            for pid in left:
                _signal(pid, signal.SIGKILL)
            _wait_for_killed(root)
            return
        time.sleep(0.1)


def _processes(root: Path) -> Iterator[int]:
    yield from _marked(root)
    yield from _postmaster(root)


def _marked(root: Path) -> Iterator[int]:
    own = os.getpid()
    mark = os.fsencode(f"{ROOT_VARIABLE}={root}")
    for entry in _PROC.glob("[0-9]*"):
        pid = int(entry.name)
        try:
            marked = mark in (entry / "environ").read_bytes().split(b"\0")
        except OSError:
            continue
        if marked and pid != own:
            yield pid


def _postmaster(root: Path) -> Iterator[int]:
    cluster = root / "data" / "postgres" / "cluster"
    try:
        pid = int((cluster / "postmaster.pid").read_text().split("\n", maxsplit=1)[0])
        command = (_PROC / str(pid) / "cmdline").read_bytes()
    except (OSError, ValueError):
        return
    if os.fsencode(cluster) in command:
        yield pid


def _signal(pid: int, number: signal.Signals) -> None:
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        return


def _wait_for_killed(root: Path) -> None:
    deadline = time.monotonic() + 2
    while left := list(_processes(root)):
        if time.monotonic() > deadline:
            raise StackError(f"these processes of {root} do not end: {left}")
        time.sleep(0.1)
