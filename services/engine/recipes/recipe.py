"""What a recipe is, and how a solution's configuration is read."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from services.engine.recipes.dataset import Dataset
from shared.errors import Permanent
from shared.models import Model

Progress = Callable[[str, float], None]
"""Told the step in words and the share of the whole that is done, 0 … 1."""


class Fit(Protocol):
    """Training: interactions in, a model out."""

    def __call__(
        self,
        dataset: Dataset,
        config: Mapping[str, Any],
        progress: Progress,
        like: Model | None = None,
        /,
    ) -> Model:
        """Fit a model; Permanent when there is nothing to train from."""
        ...


@dataclass(frozen=True)
class Recipe:
    """A way to fit a model.

    `recipe_type` and `hyperparameters` (names and default values, as strings) are what
    DescribeRecipe and DescribeAlgorithm show. `fit` takes the solution's configuration in
    Personalize's own words: eventType, eventValueThreshold, eventsConfig, algorithmHyperParameters,
    trainingDataConfig; anything else in it is ignored. A recipe that chooses what it is made of takes
    over the choice of an earlier model, given as `like`.
    """

    name: str
    recipe_type: str
    description: str
    hyperparameters: Mapping[str, str] = field(default_factory=dict)
    fit: Fit = field(kw_only=True)


def silent(step: str, share: float) -> None:
    """A progress that tells nobody."""


@dataclass(frozen=True)
class Hyperparameters:
    """A solution's algorithmHyperParameters over the recipe's defaults; all values are strings."""

    given: Mapping[str, str]

    @classmethod
    def of(cls, config: Mapping[str, Any], defaults: Mapping[str, str]) -> Hyperparameters:
        """The configuration's values where it has any; unknown names are ignored."""
        chosen = config.get("algorithmHyperParameters") or {}
        return cls({name: str(chosen.get(name, value)) for name, value in defaults.items()})

    def number(self, name: str) -> float:
        """A value as a number; Permanent names the hyperparameter when it is none."""
        try:
            return float(self.given[name])
        except ValueError as error:
            raise Permanent(
                f"The hyperparameter {name} must be a number, not {self.given[name]!r}."
            ) from error

    def choice(self, name: str, *allowed: str) -> str:
        """A value that is one of a few words; Permanent says which."""
        value = self.given[name].lower()
        if value not in allowed:
            raise Permanent(f"The hyperparameter {name} must be one of {', '.join(allowed)}, not {value!r}.")
        return value


def excluded_columns(config: Mapping[str, Any], kind: str) -> frozenset[str]:
    """The columns of a kind of dataset (ITEMS, USERS …) that the solution leaves out, upper-cased."""
    chosen = (config.get("trainingDataConfig") or {}).get("excludedDatasetColumns") or {}
    return frozenset(
        column.upper() for dataset, columns in chosen.items() if dataset.upper() == kind for column in columns
    )
