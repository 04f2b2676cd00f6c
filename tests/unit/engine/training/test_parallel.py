"""Tasks in two processes: the same results as in one, whatever becomes of the fork."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from services.engine.training.selection.parallel import in_two_processes


@pytest.fixture(autouse=True)
def two_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0, 1})


def made(name: str, sizes: list[int]) -> tuple[str, list[np.ndarray]]:
    return name, [np.full(size, size, np.float32) for size in sizes]


def test_results_come_in_the_order_of_the_tasks_with_arrays_that_may_be_changed() -> None:
    tasks = [partial(made, str(number), [number, 2 * number]) for number in range(40)]
    results = in_two_processes(tasks)
    for number, (name, arrays) in enumerate(results):
        assert name == str(number)
        for array, size in zip(arrays, (number, 2 * number), strict=True):
            np.add(array, 1, out=array)
            assert array.tolist() == [size + 1] * size


def test_arrays_of_the_fork_are_aligned() -> None:
    """Numpy adds up others in another order: a fit would depend on the process that did a task."""
    tasks = [partial(made, "n" * number, [number, 5]) for number in range(40)]
    # While this process pauses, the fork takes tasks.
    results = in_two_processes(tasks, lambda _: time.sleep(0.01))
    assert all(array.flags.aligned for _, arrays in results for array in arrays)


def in_fork(me: int, does: Callable[[], int]) -> int:
    """Do something everywhere but in the process `me`."""
    return does() if os.getpid() != me else 0


@pytest.mark.parametrize(
    "end",
    [lambda: os.kill(os.getpid(), signal.SIGKILL), lambda: 1 // 0],
    ids=["killed", "an error"],
)
def test_what_the_fork_leaves_undone_is_done(end: Callable[[], int]) -> None:
    me = os.getpid()
    tasks = [partial(in_fork, me, end) for _ in range(20)]
    assert in_two_processes(tasks) == [0] * 20


def test_an_error_of_a_task_is_raised() -> None:
    with pytest.raises(ZeroDivisionError):
        in_two_processes([lambda: 1 // 0, lambda: 1 // 0])


def test_the_first_process_is_notified_of_the_tasks_that_begin_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0})
    begun: list[int] = []
    assert in_two_processes([lambda: 1, lambda: 2], begun.append) == [1, 2]
    assert begun == [0, 1]


def test_no_descriptor_and_no_process_is_left() -> None:
    def left() -> tuple[int, str]:
        return len(list(Path("/proc/self/fd").iterdir())), Path("/proc/thread-self/children").read_text()

    before = left()
    assert in_two_processes([os.getpgrp, os.getpgrp]) == [os.getpgrp()] * 2
    assert left() == before
