"""`make bench`: the budgets of the design, measured on this machine.

    python -m tests.load [name ...]      all benchmarks, or those named: personalize, tracker …

Each benchmark is a module `bench_<name>` with `run() -> list[Figure]`. Wall times on a shared machine are
noisy: compare CPU seconds, and ratios to the reference of the same run. A benchmark that fails prints its
error, and the others continue; the exit code is then 1.
"""

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from importlib import import_module
from pathlib import Path

from tests.load.figures import Figure, table

NAMES = sorted(path.stem.removeprefix("bench_") for path in Path(__file__).parent.glob("bench_*.py"))

# One key sends all the load of a benchmark, more than its rate limit allows.
NO_RATE_LIMITS = {
    f"ENDCAP_{scope}_CALLS_PER_SECOND": "0" for scope in ("INGEST", "READ", "CATALOGUE", "ADMIN")
}


def main(names: list[str]) -> int:
    unknown = set(names) - set(NAMES)
    if unknown:
        sys.stderr.write(
            f"there is no benchmark {', '.join(sorted(unknown))}; there are {', '.join(NAMES)}\n"
        )
        return 2
    os.environ.update(NO_RATE_LIMITS)
    return measure({name: partial(_run, name) for name in names or NAMES})


def measure(benchmarks: Mapping[str, Callable[[], Iterable[Figure]]]) -> int:
    """Run the benchmarks one after the other and print their figures; return the exit code."""
    figures: list[Figure] = []
    failures: dict[str, Exception] = {}
    for name, run in benchmarks.items():
        sys.stdout.write(f"measuring {name} …\n")
        sys.stdout.flush()
        try:
            for figure in run():
                figures.append(figure)
                sys.stdout.write(f"  {' · '.join(filter(None, figure.row()))}\n")
                sys.stdout.flush()
        except Exception as error:  # noqa: BLE001 - the other benchmarks continue after any error
            failures[name] = error
            sys.stdout.write(f"{name} failed:\n{''.join(traceback.format_exception(error))}\n")
    sys.stdout.write(f"\n{table(figures)}\n")
    for name, failure in failures.items():
        sys.stdout.write(f"{name} failed: {failure!r}\n")
    return 1 if failures else 0


def _run(name: str) -> Iterable[Figure]:
    figures: Iterable[Figure] = import_module(f"tests.load.bench_{name}").run()
    return figures


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
