"""What a recipe is, and how a solution's configuration is read."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal, Protocol

from services.engine.training.dataset.dataset import Dataset
from shared.errors import Permanent
from shared.models import Model

Progress = Callable[[str, float], None]
"""Told the step in words and the share of the whole that is done, 0 … 1."""


Metrics = Callable[[Dataset, Mapping[str, Any]], dict[str, float]]
"""Metrics of a dataset under a configuration."""


class Fit(Protocol):
    """Training: interactions in, a model out."""

    def __call__(
        self,
        dataset: Dataset,
        config: Mapping[str, Any],
        progress: Progress,
        warm_start: Model | None = None,
        /,
    ) -> Model:
        """Fit a model; Permanent when there is nothing to train from."""
        ...


class OfflineMetrics(Protocol):
    """Offline metrics that are not those of lists of items."""

    def __call__(
        self, dataset: Dataset, config: Mapping[str, Any], progress: Progress, /
    ) -> tuple[Model | None, dict[str, float]]:
        """A model of a part of the data (None when there is too little), and how it fares with the rest."""
        ...


@dataclass(frozen=True)
class Interval:
    """The numbers from `low` to `high`, both included; only whole ones if so asked."""

    low: float
    high: float
    whole: bool = False


Allowed = Interval | tuple[str, ...]
"""What a hyperparameter may be: a number of an interval, or one of a few words."""

SHARE = Interval(0.0, 1.0)


@dataclass(frozen=True)
class Recipe:
    """A way to fit a model, and how Personalize describes it.

    `fit` takes the solution's configuration in Personalize's own words: eventType,
    eventValueThreshold, eventsConfig, algorithmHyperParameters, featureTransformationParameters,
    trainingDataConfig, optimizationObjective. A recipe that chooses what it is made of takes over the
    choice of an earlier model, given as `warm_start`.

    `hyperparameters` are names with default values, as strings, and `allowed` what they may be (any
    text where it says nothing). `without_effect` are the names of Personalize's own networks: taken,
    checked and kept, so that programs which set them run. `transformations` are the words that each of
    the featureTransformationParameters may be, beside the hyperparameters that shape the data.

    A request must name the members in `needs`; a recipe that `ranks` orders given items and recommends
    none by itself. A `domain` recipe is made into recommenders, any other into solutions. `event_type`
    is the type that must be there, as the service spells it, `fixed` are settings that are the recipe's own
    affair, and one that `excludes_purchased` never shows what the user bought. An `objective` may tilt
    its scores. One that `adds_up` makes its tables from sums over users, which another backend may add
    up. An `incremental` one may renew its models while items come in. One that `trains_sessions` learns from
    events of sessions to which no user has logged in, as if each were a user; any other recipe leaves them
    out. `offline_metrics` replaces the metrics of lists of items, and `more_metrics` adds to them.
    """

    name: str
    recipe_type: str
    description: str
    hyperparameters: Mapping[str, str] = field(default_factory=dict)
    fit: Fit = field(kw_only=True)
    allowed: Mapping[str, Allowed] = field(default_factory=dict, kw_only=True)
    without_effect: Mapping[str, Allowed] = field(default_factory=dict, kw_only=True)
    transformations: Mapping[str, tuple[str, ...]] = field(default_factory=dict, kw_only=True)
    needs: tuple[str, ...] = field(default=("userId",), kw_only=True)
    ranks: bool = field(default=False, kw_only=True)
    batch: bool = field(default=True, kw_only=True)
    objective: bool = field(default=False, kw_only=True)
    fixed: Mapping[str, Any] = field(default_factory=dict, kw_only=True)
    more_metrics: Metrics | None = field(default=None, kw_only=True)
    needs_interactions: bool = field(default=True, kw_only=True)
    domain: Literal["ECOMMERCE"] | None = field(default=None, kw_only=True)
    event_type: str | None = field(default=None, kw_only=True)
    excludes_purchased: bool = field(default=False, kw_only=True)
    algorithm: str | None = field(default=None, kw_only=True)
    feature_transformation: str | None = field(default=None, kw_only=True)
    offline_metrics: OfflineMetrics | None = field(default=None, kw_only=True)
    adds_up: bool = field(default=False, kw_only=True)
    incremental: bool = field(default=False, kw_only=True)
    trains_sessions: bool = field(default=False, kw_only=True)

    def variant(self, name: str, description: str, **changes: Any) -> Recipe:
        """The same fit under another name, which its models carry."""

        def fit(
            dataset: Dataset,
            config: Mapping[str, Any],
            progress: Progress,
            warm_start: Model | None = None,
            /,
        ) -> Model:
            return replace(self.fit(dataset, config, progress, warm_start), recipe=name)

        return replace(self, name=name, description=description, **{"fit": fit, **changes})


def silent(step: str, share: float) -> None:
    """A progress that tells nobody."""


def shapes_data(name: str) -> bool:
    """Whether a hyperparameter is one of the guide's "featurization hyperparameters".

    Programs give those in featureTransformationParameters as well as in algorithmHyperParameters.
    """
    return name.endswith("_percentile") or name.startswith("cold_start_")


@dataclass(frozen=True)
class Hyperparameters:
    """What a solution sets, over the recipe's defaults; all values are strings."""

    given: Mapping[str, str]

    @classmethod
    def of(cls, config: Mapping[str, Any], defaults: Mapping[str, str]) -> Hyperparameters:
        """The configuration's values where it has any; unknown names are ignored."""
        shaping = config.get("featureTransformationParameters") or {}
        chosen = {**shaping, **(config.get("algorithmHyperParameters") or {})}
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


def excluded_columns(config: Mapping[str, Any], kind: str, present: Iterable[str] = ()) -> frozenset[str]:
    """The columns of a kind of dataset (ITEMS, USERS …) that the solution leaves out, upper-cased.

    Where it names columns to include, all others that are `present` are left out too.
    """
    chosen = config.get("trainingDataConfig") or {}
    left_out, included = (
        {
            column.upper()
            for dataset, columns in (chosen.get(member) or {}).items()
            if dataset.upper() == kind
            for column in columns
        }
        for member in ("excludedDatasetColumns", "includedDatasetColumns")
    )
    others = {column.upper() for column in present} - included if included else set()
    return frozenset(left_out | others)
