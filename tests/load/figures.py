"""The result of a benchmark: a value beside a reference that was measured in the same run."""

from __future__ import annotations

import contextlib
import math
import os
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

_TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True)
class Figure:
    """One row of the table. `reference` is a comparable value, `budget` the goal.

    A value above `limit` is marked as over its budget.
    """

    name: str
    value: float
    unit: str
    reference: str = ""
    budget: str = ""
    limit: float = math.inf

    def row(self) -> tuple[str, str, str, str]:
        """Return the cells of the row as text."""
        budget = f"{self.budget}: over" if self.value > self.limit else self.budget
        return self.name, f"{self.value:,.4g} {self.unit}", self.reference, budget


def table(figures: Sequence[Figure]) -> str:
    """Return the figures as a Markdown table."""
    rows = [("figure", "measured", "reference in the same run", "budget")]
    rows += [figure.row() for figure in figures]
    widths = [max(len(row[column]) for row in rows) for column in range(4)]
    lines = [
        "| " + " | ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) + " |"
        for row in rows
    ]
    lines.insert(1, "|" + "|".join("-" * (width + 2) for width in widths) + "|")
    return "\n".join(lines)


def cpu_seconds(pid: int) -> float:
    """Return the user and system time of a process so far, to the nanosecond, without ended threads."""
    nanoseconds = 0
    for thread in Path(f"/proc/{pid}/task").iterdir():
        with contextlib.suppress(OSError):  # it ends
            nanoseconds += int((thread / "schedstat").read_text().split()[0])
    return nanoseconds / 1e9


def tree_cpu_seconds(pid: int) -> float:
    """Return the CPU seconds of a process and its descendants so far, including those that have ended."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    except OSError:
        return 0.0
    return sum(map(int, fields[11:15])) / _TICKS + sum(map(tree_cpu_seconds, map(int, children)))


def machine_cpu_seconds() -> float:
    """Return the CPU seconds of all processes of this machine so far."""
    user, nice, system, _, _, irq, soft = map(int, Path("/proc/stat").read_text().split()[1:8])
    return (user + nice + system + irq + soft) / _TICKS


class PeakMemory:
    """The peak memory of process trees during the `with` block, in MiB."""

    def __init__(self, *roots: int) -> None:
        self._roots = roots
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self.mib = 0.0

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._stop.is_set():
            self.mib = max(self.mib, sum(map(_tree_mib, self._roots)))
            time.sleep(0.1)


def _tree_mib(pid: int) -> float:
    """Return the proportional set size of a process and its descendants in MiB."""
    try:
        shares = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    except OSError:
        return 0.0
    [proportional] = [int(line.split()[1]) for line in shares if line.startswith("Pss:")]
    return proportional / 2**10 + sum(_tree_mib(int(child)) for child in children)
