"""Deletion of users from trained models: their rows are removed, and nothing else changes."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
from numpy.typing import NDArray

from services.engine.computations import computation, model_folders
from services.engine.computations.computation import ReportProgress
from services.engine.computations.row_deletion import USERS_FILE
from services.engine.store.objects import ObjectStorage
from shared import models
from shared.models import Ids, Model, SeenItems
from shared.models.attributes import Attributes, Texts
from shared.models.histories import ranges
from shared.models.interaction_index import InteractionIndex


@dataclass(frozen=True, slots=True)
class Spec:
    """Models as (prefix of the data bucket, fingerprint, prefix of the model without the users).

    The ids of the users are in the workspace, in the column USER_ID of `users.parquet`.
    """

    models: list[tuple[str, str, str]]


@dataclass(frozen=True, slots=True)
class ModelResult:
    """A model, the number of users removed from it, and the model that replaces it if there were any."""

    folder: str
    removed: int
    new_folder: str = ""
    sha256: str = ""
    users: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelsRewritten(computation.Result):
    """The result for every model, in the order of the spec."""

    models: list[ModelResult]


def run(spec: Spec, objects: ObjectStorage, workspace: Path, report: ReportProgress) -> ModelsRewritten:
    """Write a copy of each model that knows one of the users, without them.

    Raises Permanent when a model is not the one that was trained.
    """
    users = list(map(str, pq.read_table(workspace / USERS_FILE).column("USER_ID").to_pylist()))
    results = []
    for number, (prefix, sha256, new_prefix) in enumerate(spec.models):
        report("leave users out of models", number / len(spec.models))
        model = model_folders.download(prefix, sha256, objects, workspace / f"model-{number}")
        indices = model.users.find_all(users)
        known = np.unique(indices[indices >= 0])
        if not len(known):
            results.append(ModelResult(prefix, 0))
            continue
        folder = workspace / f"new-{number}"
        models.save(without_users(model, known), folder)
        fingerprint = models.fingerprint(folder)
        model_folders.upload(folder, new_prefix, fingerprint, objects)
        users_left = len(model.users) - len(known)
        results.append(ModelResult(prefix, len(known), new_prefix, fingerprint, users_left))
    return ModelsRewritten(models=results)


def without_users(model: Model, users: NDArray[np.int64]) -> Model:
    """Return the model without the rows of some users (int64[users], distinct indices of `model.users`).

    Data of items, and sums over users, stay: no single user can be identified from them. Models of recipes
    that do not use the events of users have no rows for them.
    """
    kept = np.delete(np.arange(len(model.users), dtype=np.int64), users)
    histories, older, interactions = model.histories, model.older, model.interactions
    if _has_rows(histories.offsets, model):
        histories = histories.of(kept)
    if _has_rows(older.offsets, model):
        offsets, entries = _select_rows(older.offsets, kept)
        older = SeenItems(offsets, older.items[entries])
    if _has_rows(interactions.offsets, model):
        offsets, entries = _select_rows(interactions.offsets, kept)
        interactions = InteractionIndex(
            offsets, interactions.items[entries], interactions.types[entries], interactions.event_types
        )
    strings = model.users.strings
    columns = {
        name: _texts(column, kept) if isinstance(column, Texts) else column[kept]
        for name, column in model.user_attributes.columns.items()
    }
    return replace(
        model,
        users=Ids.of(strings[user] for user in kept.tolist()),
        histories=histories,
        older=older,
        interactions=interactions,
        user_attributes=Attributes(columns, model.user_attributes.kinds),
    )


def _has_rows(offsets: NDArray[np.int64], model: Model) -> bool:
    """Return whether a table has a row for each user of the model."""
    return len(offsets) == len(model.users) + 1


def _select_rows(
    offsets: NDArray[np.int64], kept: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the offsets of the kept rows and their entries' indices: int64[rows + 1], int64[entries]."""
    counts = offsets[kept + 1] - offsets[kept]
    new_offsets = np.concatenate(([0], np.cumsum(counts))).astype(np.int64)
    return new_offsets, ranges(offsets[kept], counts)


def _texts(column: Texts, kept: NDArray[np.int64]) -> Texts:
    offsets, characters = _select_rows(column.offsets, kept)
    return Texts(column.text[characters], offsets)
