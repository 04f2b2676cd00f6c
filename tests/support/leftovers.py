"""Ends the processes of a finished test run: `python leftovers.py <pid of the run> <NAME=mark> <seconds>`.

It waits until the run has ended, for whatever reason, and then ends every process whose environment has the
mark: with SIGTERM, and after these seconds with SIGKILL. It needs only the standard library, so that it
starts within a few milliseconds.
"""

from __future__ import annotations

import os
import select
import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path

_PROC = Path("/proc")
_POLL_SECONDS = 0.1


def main() -> None:
    """Wait for the run to end, then end its processes."""
    run, mark, seconds = sys.argv[1:]
    wait_for_end(int(run))
    end(mark, seconds=float(seconds))


def wait_for_end(pid: int) -> None:
    """Return when the process has ended. It must be our parent, so that its id is not reused."""
    try:
        descriptor = os.pidfd_open(pid)
    except OSError:
        return
    if os.getppid() == pid:
        select.select([descriptor], [], [])


def end(mark: str, *, seconds: float) -> None:
    """Send SIGTERM to every process with the mark, and SIGKILL to those that still run after `seconds`."""
    for pid in marked_processes(mark):
        _send(pid, signal.SIGTERM)
    for _ in range(int(seconds / _POLL_SECONDS)):
        if not any(marked_processes(mark)):
            return
        time.sleep(_POLL_SECONDS)
    while remaining := list(marked_processes(mark)):
        for pid in remaining:
            _send(pid, signal.SIGKILL)
        time.sleep(_POLL_SECONDS)


def marked_processes(mark: str) -> Iterator[int]:
    """Yield the processes whose environment has the mark; a process that has ended has no environment."""
    variable = os.fsencode(mark)
    for entry in _PROC.glob("[0-9]*"):
        try:
            has_mark = variable in (entry / "environ").read_bytes().split(b"\0")
        except OSError:
            continue
        if has_mark:
            yield int(entry.name)


def _send(pid: int, number: signal.Signals) -> None:
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        return


if __name__ == "__main__":
    main()
