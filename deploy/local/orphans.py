"""Terminate the remaining processes of a stack whose supervisor was killed.

A process of the stack is recognized by the root folder in its environment. PostgreSQL and nginx overwrite
their environment with their titles: PostgreSQL's server is found by its pid file, nginx by its folder.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

from deploy.local.environment import ROOT_VARIABLE
from deploy.local.errors import StackError

_PROC = Path("/proc")


def end_orphans(root: Path, *, seconds: float) -> None:
    """Terminate all processes of a stack; kill those that are still running after `seconds`."""
    for pid in [*_with_root(root), *_gateway(root)]:
        _signal(pid, signal.SIGTERM)
    for pid in _postmaster(root):
        _signal(pid, signal.SIGINT)  # on SIGTERM, PostgreSQL would wait until all sessions have ended
    deadline = time.monotonic() + seconds
    while remaining := list(_processes(root)):
        if time.monotonic() > deadline:
            for pid in remaining:
                _signal(pid, signal.SIGKILL)
            _wait_for_killed(root)
            return
        time.sleep(0.1)


def _processes(root: Path) -> Iterator[int]:
    yield from _with_root(root)
    yield from _gateway(root)
    yield from _postmaster(root)


def _with_root(root: Path) -> Iterator[int]:
    """Yield the processes whose environment names the root folder."""
    own_pid = os.getpid()
    variable = os.fsencode(f"{ROOT_VARIABLE}={root}")
    for entry in _PROC.glob("[0-9]*"):
        pid = int(entry.name)
        try:
            is_of_stack = variable in (entry / "environ").read_bytes().split(b"\0")
        except OSError:
            continue
        if is_of_stack and pid != own_pid:
            yield pid


def _gateway(root: Path) -> Iterator[int]:
    """Yield the processes that work in the gateway's folder: the master, its workers, its log pipe."""
    folder = root / "data" / "gateway"
    for entry in _PROC.glob("[0-9]*"):
        try:
            is_of_gateway = (entry / "cwd").readlink() == folder
        except OSError:
            continue
        if is_of_gateway:
            yield int(entry.name)


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
    while remaining := list(_processes(root)):
        if time.monotonic() > deadline:
            raise StackError(f"these processes of {root} do not end: {remaining}")
        time.sleep(0.1)
