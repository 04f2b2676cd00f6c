"""The declaration of a recipe, and the parts of a solution's configuration that its fit reads."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal, Protocol

from services.engine.domain.solution_config import TrainingConfig, TrainingDataConfig
from services.engine.training.dataset.dataset import Dataset
from services.engine.training.fitting import Fit, Progress
from shared.errors import Permanent
from shared.events import RecipeTraits
from shared.models import Model

Metrics = Callable[[Dataset, TrainingConfig], dict[str, float]]
"""Returns metrics of a dataset under a configuration."""


class OfflineMetrics(Protocol):
    """Offline metrics other than those of ranked lists of items."""

    def __call__(
        self, dataset: Dataset, config: TrainingConfig, progress: Progress, /
    ) -> tuple[Model | None, dict[str, float]]:
        """Return a model of a part of the data, None if there is too little, and its metrics on the rest."""
        ...


@dataclass(frozen=True)
class Interval:
    """The numbers from `low` to `high`, both included; only integers if `whole`."""

    low: float
    high: float
    whole: bool = False


Allowed = Interval | tuple[str, ...]
"""The values of a hyperparameter: a number of an interval, or one of several words."""

SHARE = Interval(0.0, 1.0)


@dataclass(frozen=True)
class Recipe:
    """A way to fit a model, and how Personalize describes it.

    `hyperparameters` are names with default values, as strings, and `allowed` the values they may have (any
    text for other names). `without_effect` are hyperparameters of Personalize's own networks: accepted,
    checked and kept, so that programs which set them run. `transformations` are the values that each of
    the featureTransformationParameters may have, beside the hyperparameters that shape the data.

    A request must have the members in `needs`; a recipe that `ranks` orders the items of a request and
    recommends none by itself. A `domain` recipe is for recommenders, any other for solutions. `event_type` is
    the type that the data must have, in the service's spelling; a recipe that `fixes_event_type` trains on
    that type alone, whatever the configuration. A recipe that `excludes_purchased` leaves out what the user
    bought. One with an `objective` takes an optimizationObjective. One that `adds_up` computes its tables
    from sums over users, which another backend may compute. An `incremental` one may update its models as
    items are added. One that `trains_sessions` trains on events of sessions without a user, as if each were a
    user; other recipes leave them out. One that `explores` recommends new items more often than their scores
    say. One with `metadata_by_default` has campaigns that return columns of items, when a request names them,
    unless their configuration disables it. `list_recipe` is the batch recipe whose lists replace a model that
    is not loaded. `offline_metrics` replaces the metrics of ranked lists, and `more_metrics` adds to them.
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
    fixes_event_type: bool = field(default=False, kw_only=True)
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
    explores: bool = field(default=False, kw_only=True)
    metadata_by_default: bool = field(default=False, kw_only=True)
    list_recipe: str = field(default="popularity", kw_only=True)

    @property
    def traits(self) -> RecipeTraits:
        """Return what other services need to know of the recipe; its models and campaigns carry it."""
        return RecipeTraits(
            needs_user={"userId", "itemId"} <= set(self.needs),
            ranks_only=self.ranks,
            explores=self.explores,
            list_recipe=self.list_recipe,
            metadata_by_default=self.metadata_by_default,
        )

    def applied(self, config: TrainingConfig) -> TrainingConfig:
        """Return a configuration as the recipe applies it: with the event type that it fixes, if it does."""
        return (
            config.with_event_type(self.event_type) if self.fixes_event_type and self.event_type else config
        )

    def variant(self, name: str, description: str, **changes: Any) -> Recipe:
        """Return the same fit under another name, which its models carry."""

        def fit(
            dataset: Dataset,
            config: TrainingConfig,
            progress: Progress,
            warm_start: Model | None = None,
            /,
        ) -> Model:
            return replace(self.fit(dataset, config, progress, warm_start), recipe=name)

        return replace(self, name=name, description=description, **{"fit": fit, **changes})


def shapes_data(name: str) -> bool:
    """Return whether a hyperparameter is one of the developer guide's "featurization hyperparameters".

    Programs set those in featureTransformationParameters as well as in algorithmHyperParameters.
    """
    return name.endswith("_percentile") or name.startswith("cold_start_")


@dataclass(frozen=True)
class Hyperparameters:
    """The solution's hyperparameters, with the recipe's defaults for the others; all values are strings."""

    values: Mapping[str, str]

    @classmethod
    def of(cls, config: TrainingConfig, defaults: Mapping[str, str]) -> Hyperparameters:
        """Read the configuration; unknown names are ignored."""
        shaping = config.feature_transformation_parameters or {}
        configured = shaping | (config.algorithm_hyper_parameters or {})
        return cls({name: configured.get(name, value) for name, value in defaults.items()})

    def number(self, name: str) -> float:
        """Return a value as a number; raises Permanent if it is none."""
        try:
            return float(self.values[name])
        except ValueError as error:
            raise Permanent(
                f"The hyperparameter {name} must be a number, not {self.values[name]!r}."
            ) from error

    def choice(self, name: str, *allowed: str) -> str:
        """Return a value that must be one of `allowed`; raises Permanent if it is not."""
        value = self.values[name].lower()
        if value not in allowed:
            raise Permanent(f"The hyperparameter {name} must be one of {', '.join(allowed)}, not {value!r}.")
        return value


def excluded_columns(config: TrainingConfig, kind: str, present: Iterable[str] = ()) -> frozenset[str]:
    """Return the upper-case names of the columns of a dataset type (ITEMS, USERS …) that do not train.

    If the solution names columns to include, all others that are `present` do not train either.
    """
    training_data = config.training_data_config or TrainingDataConfig()
    excluded, included = (
        {
            column.upper()
            for dataset, columns in (chosen or {}).items()
            if dataset.upper() == kind
            for column in columns
        }
        for chosen in (training_data.excluded_dataset_columns, training_data.included_dataset_columns)
    )
    not_included = {column.upper() for column in present} - included if included else set()
    return frozenset(excluded | not_included)
