"""Models without some of their users: what each knew of these users is left out, and nothing else changes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
from numpy.typing import NDArray

from services.engine.computations.batch_inference import fetch_model
from services.engine.computations.model_training import upload
from services.engine.computations.row_deletion import USERS_FILE
from services.engine.store.objects import Objects
from shared import models
from shared.models import Ids, Model, SeenItems
from shared.models.attributes import Attributes, Texts
from shared.models.histories import ranges
from shared.models.interaction_index import InteractionIndex

Report = Callable[[str, float], None]


@dataclass(frozen=True, slots=True)
class Spec:
    """Models as (prefix of the data bucket, fingerprint, prefix of the model without the users).

    The ids of the users are in the workspace, in the column USER_ID of `users.parquet`.
    """

    models: list[tuple[str, str, str]]


def run(spec: Spec, objects: Objects, workspace: Path, report: Report) -> dict[str, Any]:
    """Write each model that knows one of the users anew; gives of every model what became of it."""
    users = list(map(str, pq.read_table(workspace / USERS_FILE).column("USER_ID").to_pylist()))
    written = []
    for number, (prefix, sha256, fresh) in enumerate(spec.models):
        report("leave users out of models", number / len(spec.models))
        model = fetch_model(prefix, sha256, objects, workspace / f"model-{number}")
        places = model.users.find_all(users)
        known = np.unique(places[places >= 0])
        outcome: dict[str, Any] = {"folder": prefix, "removed": len(known)}
        if len(known):
            folder = workspace / f"fresh-{number}"
            models.save(without_users(model, known), folder)
            fingerprint = models.fingerprint(folder)
            upload(folder, fresh, fingerprint, objects)
            outcome |= {"fresh": fresh, "sha256": fingerprint, "users": len(model.users) - len(known)}
        written.append(outcome)
    return {"models": written, "warnings": []}


def without_users(model: Model, users: NDArray[np.int64]) -> Model:
    """Return the model without the rows of some users (int64[U], distinct numbers of `model.users`).

    What it holds of items, and what users add up to, stays: no user can be told from it. Recipes that do not
    ask for users' events keep no rows of them.
    """
    kept = np.delete(np.arange(len(model.users), dtype=np.int64), users)
    histories, older, interactions = model.histories, model.older, model.interactions
    if _has_rows(histories.offsets, model):
        histories = histories.of(kept)
    if _has_rows(older.offsets, model):
        offsets, places = _rows(older.offsets, kept)
        older = SeenItems(offsets, older.items[places])
    if _has_rows(interactions.offsets, model):
        offsets, places = _rows(interactions.offsets, kept)
        interactions = InteractionIndex(
            offsets, interactions.items[places], interactions.types[places], interactions.event_types
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
    """Whether a table has a row for each user of the model."""
    return len(offsets) == len(model.users) + 1


def _rows(offsets: NDArray[np.int64], kept: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the offsets of the kept rows, and the places of their entries before."""
    counts = offsets[kept + 1] - offsets[kept]
    fresh = np.concatenate(([0], np.cumsum(counts))).astype(np.int64)
    return fresh, ranges(offsets[kept], counts)


def _texts(column: Texts, kept: NDArray[np.int64]) -> Texts:
    offsets, places = _rows(column.offsets, kept)
    return Texts(column.text[places], offsets)
