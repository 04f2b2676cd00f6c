"""Training of a model: fit it to the rows of a dataset group, evaluate it, and upload its folder.

See docs/decisions/0022-training-data.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from services.engine.computations import computation, model_folders
from services.engine.computations.computation import ReportProgress
from services.engine.computations.context_counts import ContextCounter
from services.engine.computations.training_data import TrainingSpec, open_dataset
from services.engine.domain.solution_config import TrainingConfig
from services.engine.store.objects import ObjectStorage
from services.engine.training.dataset.event_weights import counted_interactions
from services.engine.training.recipes import RECIPES, Dataset, train
from services.engine.training.recipes.recipe import excluded_columns
from shared import models
from shared.errors import Permanent
from shared.events.values import LARGEST

MIN_INTERACTIONS = 1000
MIN_ACTIVE_USERS = 25
"""With two interactions each. Both are the minimum data of Amazon Personalize."""

NO_INTERACTIONS = (
    "The dataset group has no interactions to train on: import a file of them, or send events with the event "
    "tracker, and train again. Events without a userId train once an event with a userId has the same "
    "sessionId."
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Trained(computation.Result):
    """The fingerprint and the metrics of a model, and the data that it was trained on.

    `traits` are those of the recipe, `imported` are the keys of the interactions' objects, `notes` are the
    choices that the recipe made, `seconds` is the time that the training took.
    """

    metrics: dict[str, Any]
    model_sha256: str
    traits: dict[str, Any] | None
    notes: dict[str, Any]
    imported: list[str]
    interactions: int
    users: int
    items: int
    seconds: float


def run(spec: TrainingSpec, objects: ObjectStorage, workspace: Path, report: ReportProgress) -> Trained:
    """Fit, evaluate and upload a model.

    Raises Permanent when there are no interactions, or too few and the spec is strict.
    """
    started = time.monotonic()
    report("read datasets", 0.0)
    excluded = excluded_columns(spec.config, "INTERACTIONS", spec.counted)
    counter = ContextCounter([name for name in spec.counted if name.upper() not in excluded])
    with open_dataset(spec, counter, objects, workspace) as dataset:
        trained = _train(spec, dataset, counter, objects, workspace, report)
        return replace(trained, seconds=round(time.monotonic() - started, 3))


def _train(
    spec: TrainingSpec,
    dataset: Dataset,
    counter: ContextCounter,
    objects: ObjectStorage,
    workspace: Path,
    report: ReportProgress,
) -> Trained:
    warnings = _check(spec, dataset)
    warm_start = None
    if spec.warm_start is not None:
        sha256 = spec.warm_start_sha256 or ""
        warm_start = model_folders.download(spec.warm_start, sha256, objects, workspace / "warm-start")
    progress = scaled(report, "train", 0.1, 0.8)
    model, metrics = train(RECIPES[spec.recipe], dataset, spec.config, progress, warm_start)
    model = replace(model, context=counter.context(spec.context, model.items))
    folder = workspace / "model"
    models.save(model, folder)
    report("upload the model", 0.9)
    fingerprint = models.fingerprint(folder)
    model_folders.upload(folder, spec.folder, fingerprint, objects)
    return Trained(
        metrics=metrics,
        model_sha256=fingerprint,
        traits=None if model.traits is None else model.traits.model_dump(),
        notes=dict(model.notes),
        imported=spec.parts.get("INTERACTIONS", []),
        interactions=len(dataset),
        users=len(dataset.user_ids),
        items=len(dataset.item_ids),
        seconds=0.0,
        warnings=[*warnings, *ignored_values(dataset.dropped_values)],
    )


def _check(spec: TrainingSpec, dataset: Dataset) -> list[str]:
    """Return warnings about too little data; Permanent when there is none at all, or when strict."""
    recipe = RECIPES[spec.recipe]
    if not len(dataset):
        if recipe.needs_interactions:
            raise Permanent(NO_INTERACTIONS)
        return []
    config = spec.config
    if recipe.event_type:
        config = config.with_event_type(recipe.event_type)
    return check_size(dataset, config, strict=spec.strict)


def ignored_values(count: int) -> list[str]:
    """Return the warning for event values out of bounds, which were stored before there was a bound."""
    if not count:
        return []
    return [f"{count} interactions have an EVENT_VALUE beyond {LARGEST:g}; they count without it."]


def scaled(report: ReportProgress, prefix: str, start: float, share: float) -> ReportProgress:
    """Return a callback that reports the progress of a step, as a share of the whole starting at `start`."""

    def progress(step: str, done: float) -> None:
        report(f"{prefix}: {step}", start + share * done)

    return progress


def check_size(dataset: Dataset, config: TrainingConfig, *, strict: bool) -> list[str]:
    """Return Amazon Personalize's sentences about too little data; raise them as Permanent when strict."""
    event_type = config.event_type
    suffix = f" after filtering by event type: {event_type}" if event_type else ""
    if event_type and not dataset.count(event_type):
        counted = dataset.where(np.zeros(len(dataset), bool))
    else:
        counted = counted_interactions(dataset, config)
    sentences = []
    if len(counted) < MIN_INTERACTIONS:
        sentences.append(f"Dataset has fewer than {MIN_INTERACTIONS} interactions{suffix or '.'}")
    if int((np.diff(counted.offsets()) >= 2).sum()) < MIN_ACTIVE_USERS:
        sentences.append(
            f"Dataset has fewer than {MIN_ACTIVE_USERS} users with at least 2 interactions each."
        )
    if sentences and strict:
        raise Permanent(" ".join(sentences))
    return sentences
