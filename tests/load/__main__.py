"""`make bench`: the budgets of the design, measured on this machine.

    python -m tests.load [name ...]      all benchmarks, or those named: personalize, tracker …

Each benchmark is a module `bench_<name>` with `run() -> list[Figure]`. Wall times on a shared machine are
noisy: compare CPU seconds, and ratios to the reference of the same run.
"""

from __future__ import annotations

import os
import sys
from importlib import import_module
from pathlib import Path

from tests.load.figures import Figure, table

NAMES = sorted(path.stem.removeprefix("bench_") for path in Path(__file__).parent.glob("bench_*.py"))

# One key sends all the load of a benchmark, and more of it than one key may send.
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
    figures: list[Figure] = []
    for name in names or NAMES:
        sys.stdout.write(f"measuring {name} …\n")
        sys.stdout.flush()
        figures += import_module(f"tests.load.bench_{name}").run()
    sys.stdout.write(f"\n{table(figures)}\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
