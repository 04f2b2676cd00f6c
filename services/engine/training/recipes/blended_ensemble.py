"""Models that are mixed from parts: chosen on held-out users, then fitted on all."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from services.engine.training.dataset import event_weights
from services.engine.training.dataset.dataset import Dataset
from services.engine.training.fitting import Progress
from services.engine.training.recipes import assembly
from services.engine.training.recipes.recipe import Hyperparameters, excluded_columns
from services.engine.training.selection import model_selection
from services.engine.training.selection.candidates import CandidateMethod
from services.engine.training.selection.holdout_evaluator import HoldoutEvaluator
from shared.models import Model, Neighbours, Scoring, ScoringComponent, Table


@dataclass(frozen=True)
class BlendedEnsemble:
    """A recipe's fit: `offer` gives the candidates that a data set affords, `draw` whom to evaluate them on.

    `offer(dataset, share)` hears which share of the users the tables will be built from.
    """

    name: str
    hyperparameters: Mapping[str, str]
    offer: Callable[[Dataset, float], Sequence[CandidateMethod]]
    draw: Callable[[Dataset], HoldoutEvaluator | None]

    def __call__(
        self,
        dataset: Dataset,
        config: Mapping[str, Any],
        progress: Progress,
        warm_start: Model | None = None,
        /,
    ) -> Model:
        """Choose, unless an earlier model of the recipe has chosen, and fit the parts on all users."""
        progress("read interactions", 0.0)
        counted = event_weights.counted_interactions(dataset, config)
        learnt = _without(excluded_columns(config, "ITEMS", counted.item_columns), counted)
        candidates = {candidate.name: candidate for candidate in self.offer(learnt, 1.0)}
        choice = model_selection.reused_config(warm_start, candidates) if warm_start else None
        choice = choice or self._chosen(learnt, config, progress)
        parts: list[ScoringComponent] = []
        built: dict[tuple[str, str], Table] = {}
        for number, part in enumerate(choice.parts):
            progress(f"fit {part.name} on all users", 0.6 + 0.3 * number / len(choice.parts))
            kind = part.name, part.variant
            if kind not in built:
                table = candidates[part.name].variants[part.variant](learnt, choice.type_weights)
                built[kind] = table.evened() if isinstance(table, Neighbours) else table
            parts.append(ScoringComponent(part.name, built[kind], part.weight, part.decay, part.unit))
        progress("assemble", 0.9)
        names = event_weights.model_event_types(counted, choice.type_weights)
        scoring = Scoring(
            kind="user",
            scored=True,
            scale="softmax",
            temperature=choice.temperature,
            exclude_seen=choice.exclude_seen,
            event_types=names,
            type_weights=tuple(event_weights.weights_of(choice.type_weights, names).tolist()),
        )
        fitted = assembly.model(self.name, counted, scoring, parts=parts, notes=choice.notes)
        progress("done", 1.0)
        return fitted

    def _chosen(
        self, learnt: Dataset, config: Mapping[str, Any], progress: Progress
    ) -> model_selection.EnsembleConfig:
        given = Hyperparameters.of(config, self.hyperparameters)
        setting = given.choice("exclude_seen", "auto", "true", "false")
        evaluator = self.draw(learnt)
        return model_selection.select_ensemble(
            learnt,
            evaluator,
            self.offer(learnt, evaluator.share if evaluator else 1.0),
            event_weights.configured_weights(config),
            lambda step, share: progress(step, 0.6 * share),
            exclude_seen=None if setting == "auto" else setting == "true",
        )


def _without(columns: Collection[str], dataset: Dataset) -> Dataset:
    """What may be learnt from: some columns of the items are for filters alone."""
    kept = {name: column for name, column in dataset.item_columns.items() if name.upper() not in columns}
    return replace(dataset, item_columns=kept)
