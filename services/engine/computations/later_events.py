"""Interactions imported after a model was trained, which a batch inference takes into account."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from services.engine.store.objects import ObjectStorage
from services.engine.training.recipes import Dataset
from shared.models import Histories, Ids, InteractionIndex, LaterEvents, Model

_COLUMNS = ("USER_ID", "ITEM_ID", "TIMESTAMP", "EVENT_TYPE")


def read(keys: list[str], objects: ObjectStorage, folder: Path) -> Dataset | None:
    """Return the interactions in the objects `keys` of the data bucket; None when there are no keys."""
    if not keys:
        return None
    tables = []
    for number, key in enumerate(keys):
        path = folder / f"later-{number:05}.parquet"
        objects.download(objects.data_bucket, key, path)
        names = pq.read_schema(path).names
        tables.append(pq.read_table(path, columns=[name for name in _COLUMNS if name in names]))
        path.unlink()
    return Dataset.from_arrow(pa.concat_tables(tables, promote_options="permissive"))


def from_dataset(dataset: Dataset, model: Model) -> LaterEvents:
    """Return the users' interactions with the model's item indices and event types, for scoring.

    Interactions with items that the model does not know are left out.
    """
    items = _item_indices(dataset, model)
    types = model.scoring.event_types
    unknown_type = len(types) - 1
    type_indices = np.array(
        [types.index(name) if name in types else unknown_type for name in dataset.event_type_names], np.int16
    )
    known = dataset.where(items[dataset.items] >= 0)
    return LaterEvents(
        Ids.of(known.user_ids.tolist()),
        Histories(
            known.offsets(),
            items[known.items].astype(np.int32),
            type_indices[known.event_types],
            known.times,
        ),
    )


def interaction_index(dataset: Dataset, model: Model) -> tuple[Ids, InteractionIndex]:
    """Return the users, and their interactions with the model's item indices, for filters.

    Event types are those of the dataset, not of the model.
    """
    items = _item_indices(dataset, model)
    known = dataset.where(items[dataset.items] >= 0)
    interactions = InteractionIndex.of(
        known.users,
        items[known.items],
        known.event_types,
        known.event_type_names,
        user_count=len(known.user_ids),
        item_count=len(model.items),
    )
    return Ids.of(known.user_ids.tolist()), interactions


def _item_indices(dataset: Dataset, model: Model) -> NDArray[np.int64]:
    """Return the model's index of each item of the dataset, -1 for an unknown one: int64[items]."""
    return np.array([model.items.numbers.get(item, -1) for item in dataset.item_ids], np.int64)
