"""The recipes without the product around them: the same figures, sooner."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import Any

import pyarrow as pa

from services.engine.computations import later_events
from services.engine.training.fitting import silent
from services.engine.training.recipes import RECIPES, Dataset, evaluate
from tests.load.quality.tasks import Task

_MOST = 500


class Direct:
    """Fits and asks in this process."""

    def lists(self, task: Task, recipe: str) -> Iterator[tuple[str, list[str]]]:
        """What a recipe recommends to every user of a task who is asked for."""
        own = recipe == task.recipe
        config: dict[str, Any] = {"algorithmHyperParameters": dict(task.hyperparameters)} if own else {}
        model = RECIPES[recipe].fit(Dataset.from_arrow(task.train, task.items), config, silent)
        later = (
            None if task.later is None else later_events.from_dataset(Dataset.from_arrow(task.later), model)
        )
        asked: Collection[str] = list(task.sought)
        for user, items, _ in model.recommend_many(
            list(asked), _MOST if task.seen else task.depth, later=later
        ):
            yield user, task.judged(user, items)

    def metrics(
        self, interactions: pa.Table, items: pa.Table | None, recipe: str, seed: int
    ) -> dict[str, float]:
        """What GetSolutionMetrics would say, with the test users drawn by this seed."""
        return evaluate(RECIPES[recipe], Dataset.from_arrow(interactions, items), {}, seed=seed)
