"""`make run`: bring everything up, load a shop into an empty one, and stay until Ctrl-C."""

from __future__ import annotations

import fcntl
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import NoReturn

from deploy.local.failure import StackError
from deploy.local.load import load, load_sample
from deploy.local.stack import Stack
from deploy.local.tour import tour

_BEGAN = time.monotonic()
_WATCH_SECONDS = 5.0
"""Seconds between two calls to the supervisor for the states of its processes."""

# SIGINT too: a shell that starts it in the background has it ignored, and Python leaves it so.
_ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def say(text: str) -> None:
    """One line of progress, with the seconds since the command was given."""
    print(f"[{time.monotonic() - _BEGAN:6.1f} s] {text}", flush=True)


def run(stack: Stack, *, data: Path | None, empty: bool, detach: bool) -> int:
    """Start, load, show; then stay in the foreground, or return when detached."""
    if data is not None and not data.exists():
        raise StackError(f"DATA={data}: there is no such file or folder")
    for number in _ENDING:
        signal.signal(number, _interrupt)
    with _only_one(stack.root / "run" / "lock"):
        stack.refuse_if_running()
        try:
            _bring_up(stack, data, empty=empty)
        except BaseException:
            # A failure leaves nothing half started behind; its reason is in the message and logs.
            _stop(stack)
            raise
    if detach:
        say("everything runs; `make stop` ends it")
        return 0
    try:
        say("everything runs; Ctrl-C ends it")
        _watch(stack)
    except KeyboardInterrupt:
        _stop(stack)
    return 0


def _bring_up(stack: Stack, data: Path | None, *, empty: bool) -> None:
    stack.launch()
    for name, address in stack.external.items():
        say(f"{name} is left out: {address.rpartition('@')[2]} is set in the environment")
    stack.start_everything()
    if data is not None:
        load(stack, data)
    elif not empty:
        load_sample(stack)
    print(tour(stack), flush=True)


def _watch(stack: Stack) -> None:
    """Say when a process was restarted, until somebody else stops the stack."""
    known = {process.name: process.pid for process in stack.processes()}
    while stack.is_running:
        time.sleep(_WATCH_SECONDS)
        try:
            processes = stack.processes()
        except (OSError, StackError):
            continue
        for process in processes:
            before = known.get(process.name)
            if process.state == "RUNNING" and before != process.pid:
                say(f"{process.name} was restarted (process {before} → {process.pid})")
                known[process.name] = process.pid
    say("stopped from elsewhere")


def _stop(stack: Stack) -> None:
    for number in _ENDING:
        signal.signal(number, signal.SIG_IGN)  # a second Ctrl-C must not leave half of it running
    was_running = stack.is_running
    if was_running:
        say("stopping …")
    seconds = stack.stop()
    if was_running:
        say(f"stopped after {seconds:.1f} s")


def _interrupt(_number: int, _frame: FrameType | None) -> NoReturn:
    raise KeyboardInterrupt


@contextmanager
def _only_one(path: Path) -> Iterator[None]:
    with path.open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise StackError("another `make run` is starting this stack just now") from error
        yield
