"""The recipes without the product around them: the same figures, sooner."""

from __future__ import annotations

from collections.abc import Iterator

import pyarrow as pa

from services.engine.computations import later_events
from services.engine.domain.solution_config import TrainingConfig
from services.engine.training.fitting import silent
from services.engine.training.recipes import RECIPES, Dataset, evaluate
from tests.load.quality.tasks import Task

_MAX_RESULTS = 500


class Direct:
    """Fits and queries models in this process."""

    def lists(self, task: Task, recipe: str) -> Iterator[tuple[str, list[str]]]:
        """Yield (user id, recommended item ids) of every test user of a task."""
        own = recipe == task.recipe
        hyperparameters = dict(task.hyperparameters) if own else None
        config = TrainingConfig(algorithm_hyper_parameters=hyperparameters)
        model = RECIPES[recipe].fit(Dataset.from_arrow(task.train, task.items), config, silent)
        later = (
            None if task.later is None else later_events.from_dataset(Dataset.from_arrow(task.later), model)
        )
        for user, items, _ in model.recommend_many(
            list(task.relevant), _MAX_RESULTS if task.seen else task.depth, later=later
        ):
            yield user, task.masked(user, items)

    def metrics(
        self, interactions: pa.Table, items: pa.Table | None, recipe: str, seed: int
    ) -> dict[str, float]:
        """Return what GetSolutionMetrics would return, with test users drawn by this seed."""
        return evaluate(RECIPES[recipe], Dataset.from_arrow(interactions, items), TrainingConfig(), seed=seed)
