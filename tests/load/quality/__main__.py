"""`python -m tests.load.quality [task ...]`: the table of figures, through the product's own way.

Data is read where ENDCAP_DATA says, else from ../shared/data; what is not there is left out, with the
reason. Every item of a catalogue is ranked. The workshop's split is random: ten of them, for which the
users are numbered by `numpy.random.default_rng(seed).permutation`, seeds 0–9; means and standard
deviations are over those. `--quick` asks the recipes themselves, without the product around them.
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
from tests.load.quality.lines import Bars, Line, table
from tests.load.quality.product import Product, engine
from tests.load.quality.tasks import TASKS, Task, personalize_poc, personalize_poc_items

_OURS = "aws-user-personalization"
_POPULAR = "aws-popularity-count"
_POC = "personalize_poc"
_POC_BARS = {
    "normalized_discounted_cumulative_gain_at_10": Bars(0.255, 0.27, "Personalize .2687"),
    "precision_at_25": Bars(0.060, 0.065, "Personalize .0379"),
    "mean_reciprocal_rank_at_25": Bars(0.210, 0.25, "Personalize .2690"),
    "normalized_discounted_cumulative_gain_at_25": Bars(published="Personalize .3321"),
    "coverage": Bars(published="Personalize .0791"),
}

Way = Product | Direct


def workshop(way: Way, folder: Path, seeds: int) -> Iterator[Line]:
    """What GetSolutionMetrics says of ten random splits, without and with what is told of the films."""
    interactions, items = personalize_poc(folder), personalize_poc_items(folder)
    popular = [way.metrics(interactions, None, _POPULAR, seed) for seed in range(seeds)]
    for name, catalogue in {"Personalize POC": None, "Personalize POC, with genres": items}.items():
        ours = [way.metrics(interactions, catalogue, _OURS, seed) for seed in range(seeds)]
        for key, bars in _POC_BARS.items():
            values = [found[key] for found in ours]
            most = None if key == "coverage" else float(np.mean([found[key] for found in popular]))
            yield Line(name, key, float(np.mean(values)), most, bars, float(np.std(values)))


def compared(way: Way, task: Task) -> Iterator[Line]:
    """A task's figures beside popularity's."""
    ours, popular = (list(way.lists(task, recipe)) for recipe in (task.recipe, _POPULAR))
    for figure in task.figures:
        sought = {user: figure.of(user, wanted) for user, wanted in task.sought.items()}
        yield Line(
            task.name,
            figure.name,
            scores.mean(figure.metric, ours, sought),
            scores.mean(figure.metric, popular, sought),
            figure.bars,
        )


def figures(way: Way, name: str, folder: Path, seeds: int) -> Iterator[Line]:
    """All of a data set's."""
    if name == _POC:
        yield from workshop(way, folder, seeds)
        return
    for task in TASKS[name](folder):
        yield from compared(way, task)


def main() -> None:
    """Run the tasks asked for, or all, and print the table."""
    names = [_POC, *TASKS]
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("tasks", nargs="*", metavar="task", help=", ".join(names))
    parser.add_argument("--seeds", type=int, default=10, help="random splits, where a protocol has any")
    parser.add_argument("--quick", action="store_true", help="without the product around the recipes")
    asked = parser.parse_args()
    if unknown := set(asked.tasks) - set(names):
        parser.error(f"there is no task {', '.join(sorted(unknown))}; there are {', '.join(names)}")
    here = Path(__file__).resolve().parents[3]
    data = Path(os.environ.get("ENDCAP_DATA", here.parent / "shared" / "data"))
    lines: list[Line] = []
    with contextlib.nullcontext(Direct()) if asked.quick else engine() as way:
        for name in asked.tasks or names:
            if not (data / name).is_dir():
                _say(f"{name} is left out: there is no folder {data / name} (set ENDCAP_DATA).")
                continue
            began = time.monotonic()
            lines += figures(way, name, data / name, asked.seeds)
            _say(f"{name}: {time.monotonic() - began:.0f} s")
    _say(table(lines))


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
