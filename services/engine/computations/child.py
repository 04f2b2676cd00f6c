"""The process that one job's heavy work runs in: a crash or too little memory fails that job alone.

What it has to say are lines of JSON on a socket. The socket is also its life-line: when the other end is
closed, the worker is gone or no longer interested, and so this process ends.
"""

from __future__ import annotations

import contextlib
import importlib
import os
import socket
import threading
import time
import traceback
from pathlib import Path
from typing import Any

import orjson

from services.engine.store.buckets import TenantStore
from services.engine.store.objects import Objects
from shared.errors import Permanent, Transient
from shared.settings import S3Settings

_QUIET_SECONDS = 0.25
# The kernel ends this process, and not the worker or Postgres, when the machine has no memory left.
_OOM_SCORE = "800"

# Each module has a `Spec` and `run(spec, objects, workspace, report)`.
MODULES = {
    "import": "services.engine.computations.dataset_import",
    "segments": "services.engine.computations.batch_segment",
    "deletion": "services.engine.computations.row_deletion",
    "forgetting": "services.engine.computations.model_deletion",
    "export": "services.engine.computations.dataset_export",
    "attribution": "services.engine.computations.attribution_report",
    "bulk attribution": "services.engine.computations.import_attribution",
    "training": "services.engine.computations.model_training",
    "inference": "services.engine.computations.batch_inference",
}


def main(
    worker: socket.socket, kind: str, spec: Any, workspace: Path, store: TenantStore | None = None
) -> None:
    """Do it, and tell the worker what became of it. `store` is what the job's tenant may reach."""
    threading.Thread(target=_end_with, args=(worker,), daemon=True).start()
    with contextlib.suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text(_OOM_SCORE)
    try:
        module = importlib.import_module(MODULES[kind])
        objects = Objects.of(S3Settings.of("engine"), store)
        result = module.run(spec, objects, workspace, Reporter(worker))
    except Permanent as error:
        _say(worker, "failed", str(error))
    except Transient as error:
        _say(worker, "away", str(error))
    except Exception as error:  # noqa: BLE001 - whatever it is, the job fails with a sentence
        traceback.print_exc()
        _say(worker, "failed", f"An unexpected error, {type(error).__name__}: {error}"[:1000])
    else:
        _say(worker, "result", result)


class Reporter:
    """Says how far the computation is, four times a second at most."""

    def __init__(self, worker: socket.socket) -> None:
        """Nothing was said yet."""
        self._worker = worker
        self._step = ""
        self._said = float("-inf")

    def __call__(self, step: str, share: float) -> None:
        """Say the step in words and the share of the whole that is done."""
        now = time.monotonic()
        if step != self._step or now - self._said > _QUIET_SECONDS:
            self._step, self._said = step, now
            _say(self._worker, "progress", {"step": step, "share": round(share, 4)})


def _say(worker: socket.socket, what: str, value: Any) -> None:
    line = orjson.dumps(
        {"computation": what, "value": value}, option=orjson.OPT_SERIALIZE_NUMPY | orjson.OPT_APPEND_NEWLINE
    )
    worker.sendall(line)


def _end_with(worker: socket.socket) -> None:
    with contextlib.suppress(OSError):
        worker.recv(1)
    os._exit(1)
