"""`make logs`: follow what the processes write, each line with the name of its process."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Never

from deploy.local.failure import StackError

_TAIL = 10
_TAIL_BYTES = 64 * 1024


@dataclass
class _Log:
    path: Path
    position: int = 0
    identity: int = 0

    def fresh_lines(self) -> list[str]:
        """What was added since the last call; a rotated file is read from its start."""
        known = self.path.stat()
        if known.st_ino != self.identity or known.st_size < self.position:
            self.identity, self.position = known.st_ino, 0
        with self.path.open("rb") as file:
            file.seek(self.position)
            text = file.read()
        # The end of a line may not be there yet.
        whole = text[: text.rfind(b"\n") + 1]
        self.position += len(whole)
        return whole.decode(errors="replace").splitlines()


def follow(folder: Path, process: str | None) -> Never:
    """Print the last lines of each log, then every new one until Ctrl-C."""
    logs = {path.stem: _Log(path) for path in sorted(folder.glob("*.log"))}
    if process is not None:
        if process not in logs:
            raise StackError(f"no log of {process!r}; there are {', '.join(logs) or 'none yet'}")
        logs = {process: logs[process]}
    if not logs:
        raise StackError("there are no logs yet; `make run` writes them")
    for name, log in logs.items():
        _print(name, _last_lines(log))
    while True:
        for name, log in logs.items():
            _print(name, log.fresh_lines())
        time.sleep(0.3)


def _last_lines(log: _Log) -> list[str]:
    known = log.path.stat()
    log.identity, log.position = known.st_ino, max(0, known.st_size - _TAIL_BYTES)
    return log.fresh_lines()[-_TAIL:]


def _print(name: str, lines: list[str]) -> None:
    for line in lines:
        print(f"{name:<18} {line}", flush=True)
