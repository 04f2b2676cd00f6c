"""Running a computation in a child process of the worker.

Children are forked from a fork server that has imported the libraries already: the imports take longer than
the training of a small shop. The fork server has no threads and computes nothing, so forking it is safe.

See docs/decisions/0023-computations.
"""

from __future__ import annotations

import asyncio
import multiprocessing
import signal
import socket
from collections.abc import Awaitable, Callable
from multiprocessing import forkserver
from pathlib import Path
from typing import TYPE_CHECKING, Any

import orjson
from pydantic import TypeAdapter

from services.engine.computations import child
from services.engine.computations.computation import Computation, ResultT, SpecT
from shared.errors import Permanent, Transient

if TYPE_CHECKING:
    from multiprocessing.context import ForkServerProcess

    from services.engine.store.buckets import TenantStore

LINE_LIMIT_BYTES = 4 * 2**20

OnProgress = Callable[[dict[str, Any]], Awaitable[None]]

_context = multiprocessing.get_context("forkserver")
# The training imports SciPy's subpackages when it first uses them, which spares processes that never train.
_SCIPY = ["scipy.linalg", "scipy.sparse", "scipy.sparse.linalg"]
_context.set_forkserver_preload(
    ["services.engine.computations.table", "services.engine.store.preload", *_SCIPY]
)


class ForkServer:
    """The process that computations are forked from, as a part of a worker; it ends with the worker."""

    name = "forks"

    async def start(self) -> None:
        """Start importing the libraries, before the first job needs them."""
        forkserver.ensure_running()

    async def stop(self) -> None:
        """Do nothing: the fork server exits when the worker and all children have exited."""

    def alive(self) -> str | None:
        """Return None: after a crash the next job starts another fork server."""
        return None

    def ready(self) -> str | None:
        """Return None: a job waits until the fork server has started."""
        return None


async def run(
    computation: Computation[SpecT, ResultT],
    spec: SpecT,
    workspace: Path,
    on_progress: OnProgress,
    store: TenantStore | None = None,
    memory_mib: int | None = None,
) -> ResultT:
    """Run a computation in a child process and return its result.

    `on_progress` is awaited with the members `step` and `share` of every report; `store` is what the tenant
    of the job may access, `memory_mib` the memory that the child may have. Cancelling this coroutine kills
    the child.

    Raises Permanent when the input is wrong or the child died or had too little memory, Transient when a
    dependency was unavailable.
    """
    parent_end, child_end = socket.socketpair()
    process = _context.Process(
        target=child.main, args=(child_end, computation, spec, workspace, store, memory_mib), daemon=True
    )
    with child_end:
        process.start()
    reader, writer = await asyncio.open_unix_connection(sock=parent_end, limit=LINE_LIMIT_BYTES)
    try:
        async for line in reader:
            message = orjson.loads(line)
            match message["kind"]:
                case "progress":
                    await on_progress(message["value"])
                case "permanent":
                    raise Permanent(message["value"])
                case "transient":
                    raise Transient(message["value"])
                case _:
                    return TypeAdapter(computation.result).validate_python(message["value"])
        await _exited(process)
        raise Permanent(_describe_death(process.exitcode or 0))
    finally:
        writer.close()
        if process.is_alive():
            process.kill()
        await _exited(process)
        process.close()


async def _exited(process: ForkServerProcess) -> None:
    """Wait until a process has exited, on the event loop: a process object belongs to one thread."""
    loop, exited = asyncio.get_running_loop(), asyncio.Event()
    loop.add_reader(process.sentinel, exited.set)
    try:
        await exited.wait()
    finally:
        loop.remove_reader(process.sentinel)
    process.join()


def _describe_death(exit_code: int) -> str:
    if exit_code == -signal.SIGKILL:
        return (
            "The computation was killed, most likely because the machine had no memory left; give it more "
            "memory, or less data, and try again."
        )
    cause = f"by signal {-exit_code}" if exit_code < 0 else f"with status {exit_code}"
    return f"The computation ended unexpectedly {cause}; the log of the worker says more."
