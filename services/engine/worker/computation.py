"""The process that one job's heavy work runs in: a crash or too little memory fails that job alone.

The first line of its input says what to do; the input is then a life-line: when it ends, the worker is gone,
and so is this process. What it has to say are lines of JSON, each beginning with `{"computation":`. It loads
nothing that the work at hand does not need, since each job starts one.
"""

from __future__ import annotations

import contextlib
import dataclasses
import importlib
import os
import sys
import threading
import time
import traceback
from pathlib import Path
from typing import Any

import orjson

from services.engine.store.objects import Objects
from shared.errors import Permanent, Transient
from shared.settings import S3Settings

MARK = b'{"computation":'
_QUIET_SECONDS = 0.25
# The kernel ends this process, and not the worker or Postgres, when the machine has no memory left.
_OOM_SCORE = "800"

# Each module has a `Spec` and `run(spec, objects, workspace, report)`.
MODULES = {
    "import": "services.engine.worker.importing",
    "segments": "services.engine.worker.segmenting",
    "deletion": "services.engine.worker.erasing",
    "export": "services.engine.worker.exporting",
    "attribution": "services.engine.worker.attribution",
    "bulk attribution": "services.engine.worker.bulk_attribution",
    "training": "services.engine.worker.training",
    "inference": "services.engine.worker.inference",
}


def order(kind: str, spec: Any, workspace: Path) -> bytes:
    """The line that asks for a computation."""
    document = {"kind": kind, "spec": dataclasses.asdict(spec), "workspace": str(workspace)}
    return orjson.dumps(document, option=orjson.OPT_APPEND_NEWLINE)


def main() -> None:
    """Do what the first line of the input asks for."""
    asked = orjson.loads(sys.stdin.buffer.readline())
    threading.Thread(target=_end_with_the_worker, daemon=True).start()
    with contextlib.suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text(_OOM_SCORE)
    try:
        module = importlib.import_module(MODULES[asked["kind"]])
        objects = Objects.of(S3Settings.of("engine"))
        result = module.run(module.Spec(**asked["spec"]), objects, Path(asked["workspace"]), Reporter())
    except Permanent as error:
        _say("failed", str(error))
    except Transient as error:
        _say("away", str(error))
    except Exception as error:  # noqa: BLE001 - whatever it is, the job fails with a sentence
        traceback.print_exc()
        _say("failed", f"An unexpected error, {type(error).__name__}: {error}"[:1000])
    else:
        _say("result", result)


class Reporter:
    """Says how far the computation is, four times a second at most."""

    def __init__(self) -> None:
        """Nothing was said yet."""
        self._step = ""
        self._said = float("-inf")

    def __call__(self, step: str, share: float) -> None:
        """Say the step in words and the share of the whole that is done."""
        now = time.monotonic()
        if step != self._step or now - self._said > _QUIET_SECONDS:
            self._step, self._said = step, now
            _say("progress", {"step": step, "share": round(share, 4)})


def _say(what: str, value: Any) -> None:
    line = orjson.dumps({"computation": what, "value": value}, option=orjson.OPT_SERIALIZE_NUMPY)
    sys.stdout.buffer.write(line + b"\n")
    sys.stdout.buffer.flush()


def _end_with_the_worker() -> None:
    sys.stdin.buffer.read()
    os._exit(1)


if __name__ == "__main__":
    main()
