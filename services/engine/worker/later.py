"""What was imported after a model was trained: it counts in a batch without another training."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from services.engine.recipes import Dataset
from services.engine.store.objects import Objects
from shared.models import Histories, Ids, Later, Model

_COLUMNS = ("USER_ID", "ITEM_ID", "TIMESTAMP", "EVENT_TYPE")


def read(keys: list[str], model: Model, objects: Objects, folder: Path) -> Later | None:
    """The interactions of some objects of the data bucket, as the model numbers them; None without any.

    Items that the model does not know are left out: it has nothing to say of them.
    """
    if not keys or model.scoring.kind != "user":
        return None
    tables = []
    for number, key in enumerate(keys):
        path = folder / f"later-{number:05}.parquet"
        objects.download(objects.data_bucket, key, path)
        names = pq.read_schema(path).names
        tables.append(pq.read_table(path, columns=[name for name in _COLUMNS if name in names]))
        path.unlink()
    return of(Dataset.from_arrow(pa.concat_tables(tables, promote_options="permissive")), model)


def of(dataset: Dataset, model: Model) -> Later:
    """The same of interactions that are in memory."""
    items = np.array([model.items.numbers.get(item, -1) for item in dataset.item_ids], np.int64)
    types = model.scoring.event_types
    other = len(types) - 1
    kinds = np.array([types.index(n) if n in types else other for n in dataset.event_type_names], np.int16)
    known = dataset.where(items[dataset.items] >= 0)
    return Later(
        Ids.of(known.user_ids.tolist()),
        Histories(
            known.offsets(),
            items[known.items].astype(np.int32),
            kinds[known.event_types],
            known.times,
        ),
    )
