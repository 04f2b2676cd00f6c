"""`python -m tests.load.quality [task ...]`: the table of figures, by the product's API.

Data is read from the folder ENDCAP_DATA, else from ../shared/data; missing data sets are skipped with a
message. Every item of a catalogue is ranked. The workshop's split is random: there are ten of them, for which
users are numbered by `numpy.random.default_rng(seed).permutation`, seeds 0–9; means and standard
deviations are over those. `--quick` calls the recipes directly, without the product around them.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from tests.load.quality import scores
from tests.load.quality.direct import Direct
from tests.load.quality.lines import Line, Thresholds, table
from tests.load.quality.product import Product, engine
from tests.load.quality.tasks import TASKS, Task, personalize_poc, personalize_poc_items

_ENDCAP = "aws-user-personalization"
_POPULAR = "aws-popularity-count"
_POC = "personalize_poc"
_POC_THRESHOLDS = {
    "normalized_discounted_cumulative_gain_at_10": Thresholds(0.255, 0.27, "Personalize .2687"),
    "precision_at_25": Thresholds(0.060, 0.065, "Personalize .0379"),
    "mean_reciprocal_rank_at_25": Thresholds(0.210, 0.25, "Personalize .2690"),
    "normalized_discounted_cumulative_gain_at_25": Thresholds(published="Personalize .3321"),
    "coverage": Thresholds(published="Personalize .0791"),
}

Runner = Product | Direct


def workshop(runner: Runner, folder: Path, seeds: int) -> Iterator[Line]:
    """Yield the means of GetSolutionMetrics over random splits, without and with the films' attributes."""
    interactions, items = personalize_poc(folder), personalize_poc_items(folder)
    popular = [runner.metrics(interactions, None, _POPULAR, seed) for seed in range(seeds)]
    for name, catalogue in {"Personalize POC": None, "Personalize POC, with genres": items}.items():
        endcap = [runner.metrics(interactions, catalogue, _ENDCAP, seed) for seed in range(seeds)]
        for key, thresholds in _POC_THRESHOLDS.items():
            values = [metrics[key] for metrics in endcap]
            reference = None if key == "coverage" else float(np.mean([metrics[key] for metrics in popular]))
            yield Line(name, key, float(np.mean(values)), reference, thresholds, float(np.std(values)))


def comparison(runner: Runner, task: Task) -> Iterator[Line]:
    """Yield a task's figures beside those of popularity."""
    endcap, popular = (list(runner.lists(task, recipe)) for recipe in (task.recipe, _POPULAR))
    for figure in task.figures:
        relevant = {user: figure.select(user, items) for user, items in task.relevant.items()}
        yield Line(
            task.name,
            figure.name,
            scores.mean(figure.metric, endcap, relevant),
            scores.mean(figure.metric, popular, relevant),
            figure.thresholds,
        )


def figures(runner: Runner, name: str, folder: Path, seeds: int) -> Iterator[Line]:
    """Yield all figures of a data set."""
    if name == _POC:
        yield from workshop(runner, folder, seeds)
        return
    for task in TASKS[name](folder):
        yield from comparison(runner, task)


def main() -> None:
    """Run the named tasks, or all, and print the table."""
    names = [_POC, *TASKS]
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("tasks", nargs="*", metavar="task", help=", ".join(names))
    parser.add_argument(
        "--seeds", type=int, default=10, help="number of random splits, where a protocol has any"
    )
    parser.add_argument("--quick", action="store_true", help="without the product around the recipes")
    arguments = parser.parse_args()
    if unknown := set(arguments.tasks) - set(names):
        parser.error(f"there is no task {', '.join(sorted(unknown))}; there are {', '.join(names)}")
    here = Path(__file__).resolve().parents[3]
    data = Path(os.environ.get("ENDCAP_DATA", here.parent / "shared" / "data"))
    lines: list[Line] = []
    with contextlib.nullcontext(Direct()) if arguments.quick else engine() as runner:
        for name in arguments.tasks or names:
            if not (data / name).is_dir():
                _say(f"{name} is skipped: there is no folder {data / name} (set ENDCAP_DATA).")
                continue
            began = time.monotonic()
            lines += figures(runner, name, data / name, arguments.seeds)
            _say(f"{name}: {time.monotonic() - began:.0f} s")
    _say(table(lines))


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
