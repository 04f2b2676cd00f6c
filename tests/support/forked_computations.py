"""The fork server of a worker's computations, forked instead of started as a new interpreter.

`multiprocessing` starts an interpreter for its fork server, which imports in more than a second of CPU what
the fork servers of tests have imported already. A worker that is forked from one of these therefore has a
child that waits until the worker needs that server, and becomes it. Workers with an environment of their own
for the interpreter, and those of whole products, start an interpreter.
"""

from __future__ import annotations

import importlib
import json
import os
import socket
import traceback
from collections.abc import Sequence
from multiprocessing import forkserver, util
from typing import Any

_MESSAGE_BYTES = 2**17
_MAX_FILES = 8


def import_modules() -> None:
    """Import the modules that a service has its fork server import, if it has one."""
    for name in _modules():
        importlib.import_module(name)


def prepare() -> None:
    """Fork the process that becomes the first fork server; call it while there is one thread."""
    if not _modules():
        return
    ours, theirs = socket.socketpair(type=socket.SOCK_SEQPACKET)
    pid = os.fork()
    if pid:
        theirs.close()
        _Launch(ours, pid).install()
        return
    ours.close()
    try:
        _wait(theirs)
    except SystemExit:
        os._exit(0)
    except BaseException:  # noqa: BLE001 - the process must not go on as a worker
        traceback.print_exc()
    os._exit(1)


def _modules() -> list[str]:
    server: Any = forkserver
    modules: list[str] = server._forkserver._preload_modules
    return [name for name in modules if name != "__main__"]


class _Launch:
    """Hands the command of the first fork server to the waiting process; later ones are new interpreters."""

    def __init__(self, connection: socket.socket, pid: int) -> None:
        self._connection = connection
        self._pid = pid
        self._spawn: Any = util.spawnv_passfds

    def install(self) -> None:
        """Replace the function with which `multiprocessing` starts its own processes."""
        vars(util)["spawnv_passfds"] = self

    def __call__(self, path: str, words: Sequence[str], files: Sequence[int]) -> int:
        command = words[-1]
        if not isinstance(command, str) or "multiprocessing.forkserver" not in command:
            pid: int = self._spawn(path, words, files)
            return pid
        vars(util)["spawnv_passfds"] = self._spawn
        message = {"command": command, "files": list(files), "environment": dict(os.environ)}
        with self._connection:
            socket.send_fds(self._connection, [json.dumps(message).encode()], files)
        return self._pid


def _wait(connection: socket.socket) -> None:
    """Run the command that comes with its open files; return if the worker ends without one."""
    with connection:
        text, received, _, _ = socket.recv_fds(connection, _MESSAGE_BYTES, _MAX_FILES)
    if not text:
        raise SystemExit
    message = json.loads(text)
    os.environ.clear()
    os.environ.update(message["environment"])
    # The command names its files by the worker's numbers, which may be those of files that came with it.
    spare = [os.dup2(file, 500 + number) for number, file in enumerate(received)]
    for file in received:
        os.close(file)
    for file, number in zip(spare, message["files"], strict=True):
        os.dup2(file, number)
        os.close(file)
    # The words of `python -c`.
    exec(message["command"], {})
