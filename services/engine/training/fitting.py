"""The protocols of fitting a model, for recipes, selection and evaluation."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from services.engine.domain.solution_config import TrainingConfig
from services.engine.training.dataset.dataset import Dataset
from shared.models import Model

Progress = Callable[[str, float], None]
"""Called with the current step in words and the share of the work that is done, 0 … 1."""

DEPTH = 25
"""Items of a list that are compared: the largest cut of Personalize's metrics."""


def silent(step: str, share: float) -> None:
    """Ignore the progress."""


class Fit(Protocol):
    """Training: interactions in, a model out."""

    def __call__(
        self,
        dataset: Dataset,
        config: TrainingConfig,
        progress: Progress,
        warm_start: Model | None = None,
        /,
    ) -> Model:
        """Return a model; raises Permanent if there is nothing to train from.

        A recipe that selects its components takes over those of `warm_start`, an earlier model.
        """
        ...
