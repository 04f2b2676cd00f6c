"""Reading the rows of a dataset group for a training, imported and received, without deleted users."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from services.engine.computations.computation import Arrow
from services.engine.computations.context_counts import ContextCounter
from services.engine.domain.solution_config import TrainingConfig
from services.engine.store.objects import ObjectStorage
from services.engine.training.dataset.columns import ROWS_PER_PIECE, ColumnStorage
from services.engine.training.dataset.erasure import without_erased
from services.engine.training.distributed import spark
from services.engine.training.recipes import RECIPES, Dataset

_TEXT_COLUMNS = ("USER_ID", "ITEM_ID", "EVENT_TYPE")


@dataclass(frozen=True, slots=True)
class TrainingSpec:
    """A recipe, its configuration and its data: keys of the data bucket and local files, by dataset type.

    `parts` were imported, `received` came in by events and puts. `warm_start` is the model (a prefix of the
    data bucket, and its fingerprint) whose hyperparameters are kept. `deleted_at` maps the ids of deleted
    users to the epoch second of their deletion: their earlier interactions are not used. With a
    `spark_master` Spark computes the sums over all users. `context` are the metadata columns of the
    interactions, None without a dataset of interactions, and `counted` those whose values are counted.
    """

    recipe: str
    config: TrainingConfig
    parts: dict[str, list[str]]
    received: dict[str, str]
    folder: str
    strict: bool
    warm_start: str | None = None
    warm_start_sha256: str | None = None
    deleted_at: dict[str, int] = field(default_factory=dict)
    spark_master: str | None = None
    context: list[str] | None = None
    counted: list[str] = field(default_factory=list)


@contextmanager
def open_dataset(
    spec: TrainingSpec, counter: ContextCounter, objects: ObjectStorage, workspace: Path
) -> Iterator[Dataset]:
    """Yield the dataset, in files of `workspace` or in a Spark session; count context columns on the way."""
    items, users = (
        merge_rows(_imported(spec, kind, objects, workspace), _received(spec, kind), id_column)
        for kind, id_column in (("ITEMS", "ITEM_ID"), ("USERS", "USER_ID"))
    )
    files = _interaction_files(spec, objects, workspace)
    if spec.spark_master is None or not RECIPES[spec.recipe].adds_up:
        rows = sum(pq.read_metadata(path).num_rows for path in files)
        interactions = _interactions(files, spec.deleted_at, counter)
        dataset = Dataset.read(interactions, rows, items, users, ColumnStorage(workspace))
        # Arrow would keep the memory that reading took.
        pa.default_memory_pool().release_unused()
        yield dataset
        return
    if counter.columns:
        # Spark does not read the context columns.
        for _ in _interactions(files, spec.deleted_at, counter):
            pass
    with spark.session(spec.spark_master, workspace) as session:
        yield spark.read(session, files, items, users, spec.deleted_at, spec.config)


def _interaction_files(spec: TrainingSpec, objects: ObjectStorage, workspace: Path) -> list[Path]:
    kind = "INTERACTIONS"
    files = _download(spec.parts.get(kind, []), objects, workspace / kind.lower())
    return [*files, Path(spec.received[kind])] if kind in spec.received else files


def _interactions(
    files: list[Path], deleted_at: Mapping[str, int], counter: ContextCounter
) -> Iterator[pa.Table]:
    """Yield the columns to train on, without the rows of deleted users: some millions of rows at a time.

    Texts are dictionary-encoded. The context columns of the same rows are counted and dropped.
    """
    for path in files:
        columns = (*_TEXT_COLUMNS, "EVENT_VALUE", "TIMESTAMP", *counter.columns)
        file_columns = pq.read_schema(path).names
        present = [name for name in columns if name in file_columns]
        file = pq.ParquetFile(path, read_dictionary=[name for name in _TEXT_COLUMNS if name in file_columns])
        for row_groups in _row_groups(file):
            rows = without_erased(file.read_row_groups(row_groups, columns=present), deleted_at)
            counter.add(rows)
            yield rows.drop_columns([name for name in counter.columns if name in present])


def _row_groups(file: pq.ParquetFile) -> Iterator[list[int]]:
    """Yield lists of row groups of a file that together have at most `ROWS_PER_PIECE` rows, or one group."""
    row_groups: list[int] = []
    rows = 0
    for number in range(file.num_row_groups):
        group_rows = file.metadata.row_group(number).num_rows
        if row_groups and rows + group_rows > ROWS_PER_PIECE:
            yield row_groups
            row_groups, rows = [], 0
        row_groups, rows = [*row_groups, number], rows + group_rows
    if row_groups:
        yield row_groups


def merge_rows(imported: pa.Table | None, put: pa.Table | None, id_column: str) -> pa.Table | None:
    """Return one row for each id: the last imported one, overridden by the values of the last put one."""
    if imported is None or put is None:
        return put if imported is None else imported
    ids: Arrow = pc.unique(
        pa.chunked_array([*imported[id_column].chunks, *put[id_column].chunks], pa.string())
    )
    imported_rows, put_rows = _last_rows(imported, id_column, ids), _last_rows(put, id_column, ids)
    columns: dict[str, Arrow] = {id_column: ids}
    for name in dict.fromkeys([*imported.column_names, *put.column_names]):
        if name == id_column:
            continue
        values = [
            table[name].take(rows)
            for table, rows in ((put, put_rows), (imported, imported_rows))
            if name in table.column_names
        ]
        columns[name] = pc.coalesce(*values)
    return pa.table(columns)


def _last_rows(table: pa.Table, id_column: str, ids: Arrow) -> Arrow:
    """Return the index of the last row of each id, null for an id that the table lacks: int64[ids]."""
    reverse: Arrow = table[id_column].combine_chunks()[::-1]
    return pc.subtract(pa.scalar(table.num_rows - 1), pc.index_in(ids, value_set=reverse))


def _imported(spec: TrainingSpec, kind: str, objects: ObjectStorage, workspace: Path) -> pa.Table | None:
    keys = spec.parts.get(kind)
    if not keys:
        return None
    paths = _download(keys, objects, workspace / kind.lower())
    return pa.concat_tables([pq.read_table(path) for path in paths], promote_options="permissive")


def _received(spec: TrainingSpec, kind: str) -> pa.Table | None:
    return pq.read_table(spec.received[kind]) if kind in spec.received else None


def _download(keys: list[str], objects: ObjectStorage, folder: Path) -> list[Path]:
    paths = [folder / f"{number:05}.parquet" for number in range(len(keys))]
    for key, path in zip(keys, paths, strict=True):
        objects.download(objects.data_bucket, key, path)
    return paths
