"""The child process that runs one computation: a crash, or too little memory, fails that job alone.

The child sends JSON lines over a socket to the worker. When the worker closes its end, because it has died or
has stopped waiting, the child exits.
"""

from __future__ import annotations

import contextlib
import os
import resource
import socket
import threading
import time
import traceback
from pathlib import Path
from typing import Any

import orjson

from services.engine.computations.computation import Computation, ResultT, SpecT
from services.engine.store.buckets import TenantStore
from services.engine.store.objects import ObjectStorage
from shared.errors import Permanent, Transient
from shared.settings import S3Settings

_REPORT_INTERVAL_SECONDS = 0.25
_OOM_SCORE = "800"
"""Of 1000: when the machine runs out of memory, the kernel kills this process, not the worker or Postgres."""

_MAX_MESSAGE_CHARACTERS = 1000


def main(
    worker: socket.socket,
    computation: Computation[SpecT, ResultT],
    spec: SpecT,
    workspace: Path,
    store: TenantStore | None = None,
    memory_mib: int | None = None,
) -> None:
    """Run a computation and send its result, or its error, to the worker.

    `store` is what the tenant of the job may access; None is for computations on the data bucket only.
    `memory_mib` bounds the memory of this process, libraries included and mapped files not.
    """
    threading.Thread(target=_exit_with_worker, args=(worker,), daemon=True).start()
    with contextlib.suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text(_OOM_SCORE)
    if memory_mib is not None:
        resource.setrlimit(resource.RLIMIT_DATA, (memory_mib << 20, memory_mib << 20))
    try:
        objects = ObjectStorage.of(S3Settings.of("engine"), store)
        result = computation.run(spec, objects, workspace, ProgressReporter(worker))
    except Permanent as error:
        _send(worker, "permanent", str(error))
    except Transient as error:
        _send(worker, "transient", str(error))
    except MemoryError:
        limit = "this machine has"
        if memory_mib is not None:
            limit = f"the {memory_mib} MiB of ENGINE_JOB_MEMORY_MIB"
        _send(
            worker, "permanent", f"The computation needs more memory than {limit}; raise it or use less data."
        )
    except Exception as error:  # noqa: BLE001 - any other error fails the job with a sentence
        traceback.print_exc()
        message = f"An unexpected error, {type(error).__name__}: {error}"
        _send(worker, "permanent", message[:_MAX_MESSAGE_CHARACTERS])
    else:
        _send(worker, "result", result)


class ProgressReporter:
    """Sends the progress of a computation to the worker: every new step, else four times a second at most."""

    def __init__(self, worker: socket.socket) -> None:
        """Send to the socket `worker`."""
        self._worker = worker
        self._step = ""
        self._sent_at = float("-inf")

    def __call__(self, step: str, share: float) -> None:
        """Send the name of the step, and the share of the whole that is done (0 to 1)."""
        now = time.monotonic()
        if step != self._step or now - self._sent_at > _REPORT_INTERVAL_SECONDS:
            self._step, self._sent_at = step, now
            _send(self._worker, "progress", {"step": step, "share": round(share, 4)})


def _send(worker: socket.socket, kind: str, value: Any) -> None:
    line = orjson.dumps(
        {"kind": kind, "value": value}, option=orjson.OPT_SERIALIZE_NUMPY | orjson.OPT_APPEND_NEWLINE
    )
    worker.sendall(line)


def _exit_with_worker(worker: socket.socket) -> None:
    with contextlib.suppress(OSError):
        worker.recv(1)
    os._exit(1)
