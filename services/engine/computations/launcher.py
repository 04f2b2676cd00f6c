"""Starting a computation in a process of its own, and hearing how it goes.

Each is forked from a process that has loaded the libraries already, which takes longer than to train
a small shop. That process has no threads and computes nothing, so forking it is safe.
"""

from __future__ import annotations

import asyncio
import multiprocessing
import shutil
import signal
import socket
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from multiprocessing import forkserver
from pathlib import Path
from typing import TYPE_CHECKING, Any

import orjson

from services.engine.computations import child
from shared.errors import Permanent, Transient

if TYPE_CHECKING:
    from multiprocessing.context import ForkServerProcess

    from services.engine.store.buckets import TenantStore
    from shared.jobs import Job

LINE_LIMIT = 4 * 2**20

Told = Callable[[dict[str, Any]], Awaitable[None]]

_forks = multiprocessing.get_context("forkserver")
_forks.set_forkserver_preload([*child.MODULES.values(), "services.engine.store.preload"])


class Forks:
    """The process that computations are forked from, as a part of a worker; it ends with the worker."""

    name = "forks"

    async def start(self) -> None:
        """Have it load the libraries before the first job needs them."""
        forkserver.ensure_running()

    async def stop(self) -> None:
        """It ends when the worker and all forks have ended."""

    def alive(self) -> str | None:
        """One that was killed is started anew by the next job."""
        return None

    def ready(self) -> str | None:
        """A job waits for it."""
        return None


async def compute(
    kind: str, spec: Any, workspace: Path, told: Told, store: TenantStore | None = None
) -> dict[str, Any]:
    """Run a computation to its end; `told` hears of its progress, `store` is what its tenant may reach.

    Permanent when the input is wrong or the process died, Transient when a dependency was away. When this
    is cancelled, the process ends too.
    """
    ours, theirs = socket.socketpair()
    process = _forks.Process(target=child.main, args=(theirs, kind, spec, workspace, store), daemon=True)
    with theirs:
        process.start()
    reader, writer = await asyncio.open_unix_connection(sock=ours, limit=LINE_LIMIT)
    try:
        async for line in reader:
            said = orjson.loads(line)
            match said["computation"]:
                case "progress":
                    await told(said["value"])
                case "failed":
                    raise Permanent(said["value"])
                case "away":
                    raise Transient(said["value"])
                case _:
                    result: dict[str, Any] = said["value"]
                    return result
        await _ended(process)
        raise Permanent(_how_it_died(process.exitcode or 0))
    finally:
        writer.close()
        if process.is_alive():
            process.kill()
        await _ended(process)
        process.close()


async def _ended(process: ForkServerProcess) -> None:
    """Wait for a process without holding up the rest; all of `process` is for one thread."""
    loop, gone = asyncio.get_running_loop(), asyncio.Event()
    loop.add_reader(process.sentinel, gone.set)
    try:
        await gone.wait()
    finally:
        loop.remove_reader(process.sentinel)
    process.join()


def _how_it_died(code: int) -> str:
    if code == -signal.SIGKILL:
        return (
            "The computation was killed, most likely because the machine had no memory left; give it more "
            "memory, or less data, and try again."
        )
    how = f"by signal {-code}" if code < 0 else f"with status {code}"
    return f"The computation ended unexpectedly {how}; the worker's log says more."


@contextmanager
def workspace(folder: Path, job: Job) -> Iterator[Path]:
    """An empty folder for one attempt at a job, gone afterwards; what earlier attempts have left goes too.

    Each attempt has its own: a worker that wakes up and finds its job taken over removes its own alone.
    """
    for left in folder.glob(f"{job.kind}-{job.id}-*"):
        shutil.rmtree(left, ignore_errors=True)
    path = folder / f"{job.kind}-{job.id}-{job.attempt}"
    path.mkdir(parents=True)
    try:
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)
