"""Independent tasks in two processes: this one and a fork of it, which sees the same data without a copy.

Threads do not help: LAPACK and many loops of numpy hold Python's global lock.
"""

from __future__ import annotations

import mmap
import os
import pickle
import threading
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from typing import Any, TypeVar

Result = TypeVar("Result")

_MOST_TASKS = 256
"""A task is one byte in a pipe; far fewer than a pipe holds."""

_ALIGNMENT_BYTES = 64
"""The size of a cache line: numpy adds up an array that is not aligned in another order."""


def in_two_processes(
    tasks: Sequence[Callable[[], Result]], begun: Callable[[int], None] = lambda _: None
) -> list[Result]:
    """Return what each task returns, in their order.

    `begun` is called with the number of each task that begins in this process. Whoever is free takes the next
    task, so which process did one must not matter. This process does what the fork can't do, or leaves undone
    when it dies. Raises what a task raises. With one core nothing is forked.
    """
    if len(os.sched_getaffinity(0)) < 2 or not 1 < len(tasks) < _MOST_TASKS:
        return one_by_one(tasks, begun)
    waiting, queue = os.pipe()
    os.write(queue, bytes(range(len(tasks))))
    os.close(queue)
    lifeline, alive = os.pipe()
    file = os.memfd_create("results")
    fork = os.fork()
    if fork == 0:
        os.close(alive)
        _work(tasks, waiting, lifeline, file)
    try:
        os.close(lifeline)
        results = {number: _done(tasks[number], number, begun) for number in _taken(waiting)}
        os.waitpid(fork, 0)
        results |= _read(file)
    finally:
        # The fork ends with this, if it has not ended yet.
        for descriptor in (alive, waiting, file):
            os.close(descriptor)
        with suppress(ChildProcessError):
            os.waitpid(fork, 0)
    return [
        results[number] if number in results else _done(task, number, begun)
        for number, task in enumerate(tasks)
    ]


def one_by_one(tasks: Sequence[Callable[[], Result]], begun: Callable[[int], None]) -> list[Result]:
    """Return what each task returns, in their order; `begun` is called with the number of each."""
    return [_done(task, number, begun) for number, task in enumerate(tasks)]


def _done(task: Callable[[], Result], number: int, begun: Callable[[int], None]) -> Result:
    begun(number)
    return task()


def _taken(waiting: int) -> Iterator[int]:
    """Yield the numbers of tasks that nobody else has taken."""
    while taken := os.read(waiting, 1):
        yield taken[0]


def _work(tasks: Sequence[Callable[[], Any]], waiting: int, lifeline: int, file: int) -> None:
    """Do tasks in the fork, and end it without cleaning up what belongs to the other process."""
    try:
        threading.Thread(target=_end_with, args=(lifeline,), daemon=True).start()
        for number in _taken(waiting):
            _write(file, number, tasks[number]())
    except BaseException:  # noqa: BLE001 - the other process does what is missing, and raises it too
        traceback.print_exc()
    finally:
        os._exit(0)


def _end_with(lifeline: int) -> None:
    """End this process as soon as the one that was forked has ended, or has no more use for it."""
    os.read(lifeline, 1)
    os._exit(1)


def _write(file: int, number: int, result: Any) -> None:
    """Append a result: the size of its parts, its pickle, and its arrays as they lie in memory.

    Each part begins at a multiple of `_ALIGNMENT_BYTES`.
    """
    buffers: list[pickle.PickleBuffer] = []
    document = pickle.dumps(result, protocol=5, buffer_callback=buffers.append)
    parts: list[bytes | memoryview] = [document, *(buffer.raw() for buffer in buffers)]
    head = pickle.dumps((number, [len(part) for part in parts]))
    with open(file, "ab", closefd=False) as target:
        for part in (len(head).to_bytes(_ALIGNMENT_BYTES), head, *parts):
            target.write(part)
            target.write(bytes(-len(part) % _ALIGNMENT_BYTES))


def _read(file: int) -> dict[int, Any]:
    """Return all results that were written whole; their arrays stay where they are."""
    size = os.fstat(file).st_size
    if not size:
        return {}
    written = memoryview(mmap.mmap(file, size, access=mmap.ACCESS_COPY))
    results, place = {}, 0

    def take(length: int) -> memoryview:
        """Return the next bytes; raises EOFError where the fork died before it wrote them."""
        nonlocal place
        first, place = place, place + length + -length % _ALIGNMENT_BYTES
        if place > size:
            raise EOFError
        return written[first : first + length]

    with suppress(EOFError):
        while place < size:
            number, lengths = pickle.loads(take(int.from_bytes(take(_ALIGNMENT_BYTES))))  # noqa: S301 - the fork wrote it
            document, *buffers = [take(length) for length in lengths]
            results[number] = pickle.loads(document, buffers=buffers)  # noqa: S301
    return results
