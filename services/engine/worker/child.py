"""Starting a computation in a process of its own, and hearing how it goes."""

from __future__ import annotations

import asyncio
import contextlib
import shutil
import signal
import sys
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import orjson

from services.engine.worker import computation
from shared.errors import Permanent, Transient

if TYPE_CHECKING:
    from shared.jobs import Job

LINE_LIMIT = 4 * 2**20

Told = Callable[[dict[str, Any]], Awaitable[None]]


async def compute(
    kind: str, spec: Any, workspace: Path, told: Told, environment: Mapping[str, str] | None = None
) -> dict[str, Any]:
    """Run a computation to its end; `told` hears of its progress. Its environment is this one's by default.

    Permanent when the input is wrong or the process died, Transient when a dependency was away. When this
    is cancelled, the process ends too.
    """
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        computation.__name__,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        limit=LINE_LIMIT,
        env=environment,
    )
    assert process.stdin
    assert process.stdout
    try:
        # A process that died already says so at the end of its output; uvloop raises RuntimeError.
        with contextlib.suppress(ConnectionError, RuntimeError):
            process.stdin.write(computation.order(kind, spec, workspace))
            await process.stdin.drain()
        async for line in process.stdout:
            if not line.startswith(computation.MARK):
                # A log line of the computation: it goes where the worker's own go.
                sys.stdout.buffer.write(line)
                continue
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
        raise Permanent(_how_it_died(await process.wait()))
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()


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
