"""Aggregates on PySpark: interactions are summed where they are stored.

The driver holds what a model holds: each user's newest hundred events of a type, and the items of the events
before those. Executors hold whole users, run the code of the methods on them and send item-item sums. They
need this project's code and the files of the workspace: for a cluster, put `ENGINE_WORK_FOLDER` on a file
system that all of it shares.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import scipy
from numpy.typing import NDArray

from services.engine.domain.solution_config import TrainingConfig
from services.engine.training.dataset.aggregates import EventRule, MatrixRequest
from services.engine.training.dataset.dataset import Dataset
from services.engine.training.dataset.erasure import without_erased
from services.engine.training.dataset.event_weights import event_rule, rule_mask
from services.engine.training.distributed.aggregates import partial_aggregate
from shared.errors import Permanent
from shared.events import canonical_type
from shared.events.values import LARGEST
from shared.models.user_scorer import HISTORY

# PySpark ships without types that mypy --strict would take.
Frame = Any
Session = Any

_ROWS = "USER_ID string, ITEM_ID string, TIMESTAMP long, EVENT_TYPE string, EVENT_VALUE float"
_CELLS = "row int, item int, value double"
_CELL_TYPES: dict[str, pa.DataType] = {"row": pa.int32(), "item": pa.int32(), "value": pa.float64()}
_ROW_TYPES: dict[str, pa.DataType] = {
    "USER_ID": pa.string(),
    "ITEM_ID": pa.string(),
    "TIMESTAMP": pa.int64(),
    "EVENT_TYPE": pa.string(),
    "EVENT_VALUE": pa.float32(),
}
_ROWS_PER_PARTITION = 1_000_000
_SHUFFLE_PARTITIONS = 8
_LOOPBACK = "127.0.0.1"
_PROJECT = Path(__file__).parents[4]


@contextmanager
def session(master: str, workspace: Path) -> Iterator[Session]:
    """Yield a Spark session that is stopped afterwards; raises Permanent if PySpark is not installed."""
    try:
        from pyspark.sql import SparkSession  # noqa: PLC0415 - half a gigabyte that only this backend loads
    except ImportError as error:
        raise Permanent(
            "This worker is told to compute on Spark (ENGINE_COMPUTE=spark), and PySpark is not installed: "
            "install requirements/spark.txt into its environment, or set ENGINE_COMPUTE=local."
        ) from error
    builder = SparkSession.builder.master(master).appName("endcap")
    if master.startswith("local"):
        # No other host has to reach this driver, and the name of the machine may not resolve.
        builder = builder.config("spark.driver.bindAddress", _LOOPBACK).config("spark.driver.host", _LOOPBACK)
    spark = (
        builder.config("spark.ui.enabled", "false")
        .config("spark.local.dir", str(workspace / "spark"))
        .config("spark.sql.warehouse.dir", str(workspace / "warehouse"))
        .config("spark.sql.execution.arrow.maxRecordsPerBatch", "100000")
        .config("spark.sql.adaptive.enabled", "false")
        .config("spark.sql.shuffle.partitions", str(_SHUFFLE_PARTITIONS))
        .config("spark.ui.showConsoleProgress", "false")
        .config("spark.driver.maxResultSize", "0")
        .config("spark.executorEnv.PYTHONPATH", os.pathsep.join([str(_PROJECT), *filter(None, sys.path)]))
        .config("spark.log.level", "ERROR")
        .getOrCreate()
    )
    # Executors run this interpreter; its only other name is a variable of the environment.
    spark.sparkContext.pythonExec = sys.executable
    try:
        yield spark
    finally:
        spark.stop()


@dataclass(frozen=True)
class Selection:
    """The interactions that are summed: it is sent to the executors."""

    erased: Mapping[str, int]
    rule: EventRule | None = None
    excluded_users: frozenset[str] = frozenset()

    def of(self, batches: Iterator[pa.RecordBatch]) -> Dataset | None:
        """Return the selected interactions of a partition of whole users, or None if there are none."""
        rows = list(batches)
        table = without_erased(pa.Table.from_batches(rows), self.erased) if rows else None
        if table is None or not table.num_rows:
            return None
        dataset = Dataset.from_arrow(table)
        if self.excluded_users:
            excluded = np.array([user in self.excluded_users for user in dataset.user_ids])
            dataset = dataset.where(~excluded[dataset.users])
        return dataset if self.rule is None else dataset.where(rule_mask(dataset, self.rule))


@dataclass(frozen=True)
class SparkAggregates:
    """`DistributedAggregates` over a Spark data frame."""

    frame: Frame
    item_ids: NDArray[np.object_]
    selection: Selection
    put_back: tuple[Dataset, ...] = ()
    # Variants of a method request the same matrix one after the other.
    last: dict[str, scipy.sparse.csr_array] = field(default_factory=dict, compare=False)

    def counting(self, rule: EventRule) -> SparkAggregates:
        """Return the same sums over the interactions that count."""
        return replace(self, selection=replace(self.selection, rule=rule), last={})

    def without(self, users: Collection[str], *, but: Dataset) -> SparkAggregates:
        """Return the same sums without the interactions of some users, except for those of `but`."""
        put_back = (*self.put_back, but) if len(but) else self.put_back
        excluded = self.selection.excluded_users | frozenset(users)
        return replace(
            self, selection=replace(self.selection, excluded_users=excluded), put_back=put_back, last={}
        )

    def matrix(self, request: MatrixRequest) -> scipy.sparse.csr_array:
        """Return the sum of the matrices that executors compute: CSR float64[items, items]."""
        key = repr((request.matrix, sorted(request.weights.items()), request.decay, request.reach))
        if key not in self.last:
            matrix = self._sum(request)
            self.last.clear()
            self.last[key] = matrix
        return self.last[key]

    def _sum(self, request: MatrixRequest) -> scipy.sparse.csr_array:
        selection, item_ids = self.selection, self.item_ids

        def cells(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
            dataset = selection.of(batches)
            if dataset is not None:
                yield from _cells(partial_aggregate(dataset, request), dataset, item_ids)

        sums = (
            self.frame.mapInArrow(cells, _CELLS)
            .groupBy("row", "item")
            .sum("value")
            .toArrow()
            .combine_chunks()
        )
        row, item, value = (sums.column(number).to_numpy() for number in range(3))
        count = len(self.item_ids)
        matrix: scipy.sparse.csr_array = scipy.sparse.coo_array(
            (value, (row, item)), shape=(count, count)
        ).tocsr()
        for dataset in self.put_back:
            matrix = (matrix + partial_aggregate(dataset, request)).tocsr()
        return matrix


def _cells(
    matrix: scipy.sparse.csr_array, dataset: Dataset, item_ids: NDArray[np.object_]
) -> Iterator[pa.RecordBatch]:
    """Yield a partition's matrix in the numbers of all items, in batches that Arrow and the JVM handle."""
    numbers = np.searchsorted(item_ids, dataset.item_ids).astype(np.int32)
    cells = matrix.tocoo()
    row, item = (numbers[side] for side in cells.coords)
    table = pa.table([row, item, cells.data.astype(np.float64)], schema=pa.schema(_CELL_TYPES))
    yield from table.to_batches(max_chunksize=500_000)


def read(
    spark: Session,
    interactions: Sequence[Path],
    items: pa.Table | None,
    users: pa.Table | None,
    erased: Mapping[str, int],
    config: TrainingConfig,
) -> Dataset:
    """Return the dataset as a model of this configuration needs it, with aggregates over all interactions."""
    frame = _frame(spark, interactions)
    spellings = [row[0] or "" for row in frame.select("EVENT_TYPE").distinct().collect()]
    rule = event_rule(config, sorted({canonical_type(name) for name in spellings}))
    everything = Selection(erased)

    def needed(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        dataset = everything.of(batches)
        if dataset is not None:
            kept = dataset.where(newest_or_first(dataset, rule_mask(dataset, rule)))
            yield from _rows(kept).to_batches(max_chunksize=500_000)

    compact = frame.mapInArrow(needed, _ROWS).toArrow()
    dataset = Dataset.from_arrow(compact, items, users)
    # The compact dataset has lost these values. To Spark NaN, which means no value, is the largest number.
    dropped = frame.where(f"NOT isnan(EVENT_VALUE) AND abs(EVENT_VALUE) > {LARGEST!r}").count()
    aggregates = SparkAggregates(frame, dataset.item_ids, everything)
    return replace(dataset, aggregates=aggregates, dropped_values=dropped)


def _frame(spark: Session, paths: Sequence[Path]) -> Frame:
    """Return all files as one frame with the same columns, partitioned by user."""
    united = None
    for path in paths:
        file = spark.read.parquet(str(path))
        types = dict(field.split(" ") for field in _ROWS.split(", "))
        columns = [
            f"CAST({name if name in file.columns else 'NULL'} AS {kind}) AS {name}"
            for name, kind in types.items()
        ]
        united = file.selectExpr(*columns) if united is None else united.union(file.selectExpr(*columns))
    assert united is not None
    complete = united.where("USER_ID IS NOT NULL AND ITEM_ID IS NOT NULL AND TIMESTAMP IS NOT NULL")
    partitions = max(2, -(-complete.count() // _ROWS_PER_PARTITION))
    return complete.repartition(partitions, "USER_ID").cache()


def newest_or_first(dataset: Dataset, counted: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Return the rows that a model needs: a user's newest of each type, and the first with each item.

    Counted rows, bool[interactions], and others are kept separately. Popularity, the times of items' first
    events and the index of interactions are the same as with all rows. Returns bool[interactions].
    """
    kinds = dataset.event_types.astype(np.int64) * 2 + counted
    runs = np.lexsort((np.arange(len(dataset)), kinds, dataset.users))
    run = dataset.users[runs].astype(np.int64) * (kinds.max(initial=0) + 1) + kinds[runs]
    _, begins, sizes = np.unique(run, return_index=True, return_counts=True)
    rank_from_end = np.repeat(begins + sizes, sizes) - np.arange(len(runs))
    kept = np.zeros(len(dataset), bool)
    kept[runs[rank_from_end <= HISTORY]] = True
    cells = (dataset.users.astype(np.int64) * len(dataset.item_ids) + dataset.items) * 2 * len(
        dataset.event_type_names
    ) + kinds
    _, first = np.unique(cells, return_index=True)
    kept[first] = True
    return kept


def _rows(dataset: Dataset) -> pa.Table:
    names = np.array(dataset.event_type_names, object)
    missing = np.isnan(dataset.values)
    return pa.table(
        [
            pa.array(dataset.user_ids[dataset.users], pa.string()),
            pa.array(dataset.item_ids[dataset.items], pa.string()),
            pa.array(dataset.times, pa.int64()),
            pa.array(names[dataset.event_types], pa.string()),
            pa.array(dataset.values, pa.float32(), mask=missing),
        ],
        schema=pa.schema(_ROW_TYPES),
    )
