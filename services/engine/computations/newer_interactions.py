"""What was imported after a model was trained: it counts in a batch without another training."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from services.engine.store.objects import Objects
from services.engine.training.recipes import Dataset
from shared.models import Histories, Ids, InteractionIndex, LaterEvents, Model

_COLUMNS = ("USER_ID", "ITEM_ID", "TIMESTAMP", "EVENT_TYPE")


def read(keys: list[str], objects: Objects, folder: Path) -> Dataset | None:
    """The interactions of some objects of the data bucket; None without any."""
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


def of(dataset: Dataset, model: Model) -> LaterEvents:
    """Interactions as the model numbers them, to be scored.

    Items that the model does not know are left out: it has nothing to say of them.
    """
    items = _numbers(dataset, model)
    types = model.scoring.event_types
    other = len(types) - 1
    kinds = np.array([types.index(n) if n in types else other for n in dataset.event_type_names], np.int16)
    known = dataset.where(items[dataset.items] >= 0)
    return LaterEvents(
        Ids.of(known.user_ids.tolist()),
        Histories(
            known.offsets(),
            items[known.items].astype(np.int32),
            kinds[known.event_types],
            known.times,
        ),
    )


def interaction_index_of(dataset: Dataset, model: Model) -> tuple[Ids, InteractionIndex]:
    """Interactions with the model's numbers of items and types of their own, for filters; and their users."""
    items = _numbers(dataset, model)
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


def _numbers(dataset: Dataset, model: Model) -> NDArray[np.int64]:
    """The model's number of each item, −1 for those that it does not know."""
    return np.array([model.items.numbers.get(item, -1) for item in dataset.item_ids], np.int64)
