"""`make logs`: follow the logs, each line with the name of its process."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Never

from deploy.local.errors import StackError

_TAIL_LINES = 10
_TAIL_BYTES = 64 * 1024


@dataclass
class _Log:
    path: Path
    position: int = 0
    inode: int = 0

    def new_lines(self) -> list[str]:
        """Return the lines added since the last call; a rotated file is read from its start."""
        stat = self.path.stat()
        if stat.st_ino != self.inode or stat.st_size < self.position:
            self.inode, self.position = stat.st_ino, 0
        with self.path.open("rb") as file:
            file.seek(self.position)
            text = file.read()
        # The last line may be incomplete.
        complete = text[: text.rfind(b"\n") + 1]
        self.position += len(complete)
        return complete.decode(errors="replace").splitlines()


def follow(folder: Path, process: str | None) -> Never:
    """Print the last lines of each log, then new lines until Ctrl-C. Raises StackError if there is no log."""
    logs = {path.stem: _Log(path) for path in sorted(folder.glob("*.log"))}
    if process is not None:
        if process not in logs:
            raise StackError(
                f"there is no log of {process!r}; there are logs of {', '.join(logs) or 'none yet'}"
            )
        logs = {process: logs[process]}
    if not logs:
        raise StackError("there are no logs yet; `make run` writes them")
    for name, log in logs.items():
        _print(name, _last_lines(log))
    while True:
        for name, log in logs.items():
            _print(name, log.new_lines())
        time.sleep(0.3)


def _last_lines(log: _Log) -> list[str]:
    stat = log.path.stat()
    log.inode, log.position = stat.st_ino, max(0, stat.st_size - _TAIL_BYTES)
    return log.new_lines()[-_TAIL_LINES:]


def _print(name: str, lines: list[str]) -> None:
    for line in lines:
        print(f"{name:<18} {line}", flush=True)
