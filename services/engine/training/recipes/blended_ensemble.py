"""The fit of recipes that blend components: selected on held-out users, then fitted on all."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace

from services.engine.domain.solution_config import TrainingConfig
from services.engine.training.dataset import event_weights
from services.engine.training.dataset.dataset import Dataset
from services.engine.training.fitting import Progress
from services.engine.training.recipes import assembly
from services.engine.training.recipes.recipe import Hyperparameters, excluded_columns
from services.engine.training.selection import model_selection
from services.engine.training.selection.candidates import CandidateMethod
from services.engine.training.selection.holdout_evaluator import HoldoutEvaluator
from services.engine.training.selection.model_selection import EnsembleConfig
from shared.models import Model, Neighbours, Scoring, ScoringComponent, Table


@dataclass(frozen=True)
class BlendedEnsemble:
    """A recipe's fit.

    `candidates(dataset, share)` returns the methods that a dataset affords; their tables will be built from
    that share of its users. `hold_out` returns the evaluator that compares them, None if there are too few
    users.
    """

    name: str
    hyperparameters: Mapping[str, str]
    candidates: Callable[[Dataset, float], Sequence[CandidateMethod]]
    hold_out: Callable[[Dataset], HoldoutEvaluator | None]

    def __call__(
        self,
        dataset: Dataset,
        config: TrainingConfig,
        progress: Progress,
        warm_start: Model | None = None,
        /,
    ) -> Model:
        """Return a model of all users, with the components of `warm_start` or newly selected ones."""
        progress("read interactions", 0.0)
        counted = event_weights.counted_interactions(dataset, config)
        learnable = _without_columns(counted, excluded_columns(config, "ITEMS", counted.item_columns))
        candidates = {candidate.name: candidate for candidate in self.candidates(learnable, 1.0)}
        ensemble = model_selection.reused_config(warm_start, candidates) if warm_start else None
        ensemble = ensemble or self._selected(learnable, config, progress)
        components = _fitted(ensemble, candidates, learnable, progress)
        progress("assemble", 0.9)
        names = event_weights.model_event_types(counted, ensemble.type_weights)
        scoring = Scoring(
            kind="user",
            scored=True,
            scale="softmax",
            temperature=ensemble.temperature,
            exclude_seen=ensemble.exclude_seen,
            event_types=names,
            type_weights=tuple(event_weights.weights_of(ensemble.type_weights, names).tolist()),
        )
        model = assembly.model(self.name, counted, scoring, parts=components, notes=ensemble.notes)
        progress("done", 1.0)
        return model

    def _selected(self, learnable: Dataset, config: TrainingConfig, progress: Progress) -> EnsembleConfig:
        hyperparameters = Hyperparameters.of(config, self.hyperparameters)
        setting = hyperparameters.choice("exclude_seen", "auto", "true", "false")
        evaluator = self.hold_out(learnable)
        return model_selection.select_ensemble(
            learnable,
            evaluator,
            self.candidates(learnable, evaluator.share if evaluator else 1.0),
            event_weights.configured_weights(config),
            lambda step, share: progress(step, 0.6 * share),
            exclude_seen=None if setting == "auto" else setting == "true",
        )


def _fitted(
    ensemble: EnsembleConfig, candidates: Mapping[str, CandidateMethod], dataset: Dataset, progress: Progress
) -> list[ScoringComponent]:
    """Return the components, with tables of all users; those that differ in decay alone share a table."""
    tables: dict[tuple[str, str], Table] = {}
    components = []
    for number, config in enumerate(ensemble.components):
        progress(f"fit {config.name} on all users", 0.6 + 0.3 * number / len(ensemble.components))
        key = config.name, config.variant
        if key not in tables:
            table = candidates[config.name].variants[config.variant](dataset, ensemble.type_weights)
            tables[key] = table.padded() if isinstance(table, Neighbours) else table
        components.append(
            ScoringComponent(config.name, tables[key], config.weight, config.decay, config.unit)
        )
    return components


def _without_columns(dataset: Dataset, columns: Collection[str]) -> Dataset:
    """Return the dataset without some columns of items, which are for filters alone."""
    kept = {name: column for name, column in dataset.item_columns.items() if name.upper() not in columns}
    return replace(dataset, item_columns=kept)
