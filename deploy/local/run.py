"""`make run`: start everything, load the sample shop if there is no data, and run until Ctrl-C."""

from __future__ import annotations

import fcntl
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import NoReturn

from deploy.local.errors import StackError
from deploy.local.links import links
from deploy.local.load import load, load_sample
from deploy.local.stack import Stack
from deploy.local.tour import tour

_STARTED = time.monotonic()
_WATCH_SECONDS = 5.0
"""Seconds between two queries of the states of processes."""

# Also SIGINT: a shell sets it to be ignored for background processes, and Python keeps that.
_TERMINATING_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def say(text: str) -> None:
    """Print a line of progress with the seconds since the start of the command."""
    print(f"[{time.monotonic() - _STARTED:6.1f} s] {text}", flush=True)


def run(stack: Stack, *, data: Path | None, empty: bool, detach: bool) -> int:
    """Start everything and load a shop; then wait for Ctrl-C, or return if `detach`. Raises StackError."""
    if data is not None and not data.exists():
        raise StackError(f"DATA={data}: there is no such file or folder")
    for number in _TERMINATING_SIGNALS:
        signal.signal(number, _interrupt)
    with _exclusive(stack.root / "run" / "lock"):
        stack.require_stopped()
        try:
            _start(stack, data, empty=empty)
        except BaseException:
            # Leave no part of the stack running; the reason is in the message and the logs.
            _stop(stack)
            raise
    if detach:
        say("everything is running; stop it with `make stop`")
        return 0
    try:
        say("everything is running; stop it with Ctrl-C")
        _watch(stack)
    except KeyboardInterrupt:
        _stop(stack)
    return 0


def _start(stack: Stack, data: Path | None, *, empty: bool) -> None:
    stack.launch()
    for name, address in stack.external.items():
        say(f"{name} is external: the environment sets {address.rpartition('@')[2]}")
    stack.start_everything()
    if data is not None:
        load(stack, data)
    elif not empty:
        load_sample(stack)
    print(tour(stack), flush=True)
    print(links(stack), flush=True)


def _watch(stack: Stack) -> None:
    """Report restarts of processes until the stack is stopped."""
    pids = {process.name: process.pid for process in stack.processes()}
    while stack.is_running:
        time.sleep(_WATCH_SECONDS)
        try:
            processes = stack.processes()
        except (OSError, StackError):
            continue
        for process in processes:
            previous = pids.get(process.name)
            if process.state == "RUNNING" and previous != process.pid:
                say(f"{process.name} was restarted (process {previous} → {process.pid})")
                pids[process.name] = process.pid
    say("stopped by another command")


def _stop(stack: Stack) -> None:
    for number in _TERMINATING_SIGNALS:
        signal.signal(number, signal.SIG_IGN)  # a second Ctrl-C must not interrupt the stop
    was_running = stack.is_running
    if was_running:
        say("stopping …")
    seconds = stack.stop()
    if was_running:
        say(f"stopped after {seconds:.1f} s")


def _interrupt(_number: int, _frame: FrameType | None) -> NoReturn:
    raise KeyboardInterrupt


@contextmanager
def _exclusive(path: Path) -> Iterator[None]:
    """Hold a lock file. Raises StackError if another process holds it."""
    with path.open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise StackError("another `make run` is starting this stack") from error
        yield
