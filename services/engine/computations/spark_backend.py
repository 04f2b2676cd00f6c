"""The second compute backend, PySpark: interactions are summed where they lie, lines answered in parallel.

The driver holds what a model holds: each user's newest hundred events of a type, and what each did with
which items before. Executors hold whole users, run the recipes' own code on them and send item-item
sums. They need this project's code and the files of the workspace: for a cluster, put
`ENGINE_WORK_FOLDER` on a file system that all of it shares.
"""

from __future__ import annotations

import atexit
import json
import os
import shutil
import sys
import tempfile
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from functools import lru_cache
from pathlib import Path
from typing import IO, Any

import numpy as np
import pyarrow as pa
from scipy import sparse

from services.engine.computations import batch_inference
from services.engine.computations.row_deletion import without
from services.engine.recipes import Dataset
from services.engine.recipes.elsewhere import Asked, Rule, mask, partial
from services.engine.store.objects import Objects
from services.engine.training.dataset.event_weights import rule
from shared.errors import Permanent
from shared.events import canonical_type
from shared.events.values import LARGEST
from shared.models.user_scorer import HISTORY
from shared.settings import S3Settings

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
_ROWS_PER_PART = 1_000_000
_PARTS = 8
_LOOPBACK = "127.0.0.1"
_PROJECT = Path(__file__).parents[3]


@contextmanager
def session(master: str, workspace: Path) -> Iterator[Session]:
    """A Spark session that leaves nothing behind."""
    try:
        from pyspark.sql import SparkSession  # noqa: PLC0415 - half a gigabyte that only this backend loads
    except ImportError as error:
        raise Permanent(
            "This worker is told to compute on Spark (ENGINE_COMPUTE=spark), and PySpark is not installed: "
            "install requirements/spark.txt into its environment, or set ENGINE_COMPUTE=local."
        ) from error
    builder = SparkSession.builder.master(master).appName("endcap")
    if master.startswith("local"):
        # Nobody else has to reach this driver, and a machine's name may lead nowhere.
        builder = builder.config("spark.driver.bindAddress", _LOOPBACK).config("spark.driver.host", _LOOPBACK)
    running = (
        builder.config("spark.ui.enabled", "false")
        .config("spark.local.dir", str(workspace / "spark"))
        .config("spark.sql.warehouse.dir", str(workspace / "warehouse"))
        .config("spark.sql.execution.arrow.maxRecordsPerBatch", "100000")
        .config("spark.sql.adaptive.enabled", "false")
        .config("spark.sql.shuffle.partitions", str(_PARTS))
        .config("spark.ui.showConsoleProgress", "false")
        .config("spark.driver.maxResultSize", "0")
        .config("spark.executorEnv.PYTHONPATH", os.pathsep.join([str(_PROJECT), *filter(None, sys.path)]))
        .config("spark.log.level", "ERROR")
        .getOrCreate()
    )
    # Executors run this interpreter; its only other name is a variable of the environment.
    running.sparkContext.pythonExec = sys.executable
    try:
        yield running
    finally:
        running.stop()


@dataclass(frozen=True)
class Chosen:
    """Which interactions are meant; it travels to the executors."""

    erased: Mapping[str, int]
    rule: Rule | None = None
    left_out: frozenset[str] = frozenset()

    def of(self, batches: Iterator[pa.RecordBatch]) -> Dataset | None:
        """Those of a part, whose users are whole; None when it holds none."""
        known = list(batches)
        table = without(pa.Table.from_batches(known), self.erased) if known else None
        if table is None or not table.num_rows:
            return None
        dataset = Dataset.from_arrow(table)
        if self.left_out:
            out = np.array([user in self.left_out for user in dataset.user_ids])
            dataset = dataset.where(~out[dataset.users])
        return dataset if self.rule is None else dataset.where(mask(dataset, self.rule))


@dataclass(frozen=True)
class Summing:
    """`Counts` over Parquet files, by Spark."""

    frame: Frame
    item_ids: np.ndarray
    chosen: Chosen
    put_back: tuple[Dataset, ...] = ()
    # Variants of an candidate ask for the same matrix one after the other.
    last: dict[str, sparse.csr_array] = field(default_factory=dict, compare=False)

    def ruled(self, rule: Rule) -> Summing:
        """The same of the interactions that count."""
        return replace(self, chosen=replace(self.chosen, rule=rule), last={})

    def without(self, users: Collection[str], *, but: Dataset) -> Summing:
        """The same without some users, of whom some interactions are put back."""
        put_back = (*self.put_back, but) if len(but) else self.put_back
        chosen = replace(self.chosen, left_out=self.chosen.left_out | frozenset(users))
        return replace(self, chosen=chosen, put_back=put_back, last={})

    def summed(self, asked: Asked) -> sparse.csr_array:
        """The matrix: each part's by an executor, and their sum."""
        key = repr((asked.matrix, sorted(asked.weights.items()), asked.fade, asked.reach))
        if key not in self.last:
            found = self._added_up(asked)
            self.last.clear()
            self.last[key] = found
        return self.last[key]

    def _added_up(self, asked: Asked) -> sparse.csr_array:
        chosen, item_ids = self.chosen, self.item_ids

        def cells(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
            dataset = chosen.of(batches)
            if dataset is not None:
                yield from _cells(partial(dataset, asked), dataset, item_ids)

        found = (
            self.frame.mapInArrow(cells, _CELLS)
            .groupBy("row", "item")
            .sum("value")
            .toArrow()
            .combine_chunks()
        )
        row, item, value = (found.column(number).to_numpy() for number in range(3))
        count = len(self.item_ids)
        matrix: sparse.csr_array = sparse.coo_array((value, (row, item)), shape=(count, count)).tocsr()
        for dataset in self.put_back:
            matrix = (matrix + partial(dataset, asked)).tocsr()
        return matrix


def _cells(matrix: sparse.csr_array, dataset: Dataset, item_ids: np.ndarray) -> Iterator[pa.RecordBatch]:
    """A part's matrix in the numbers of all items, in pieces that Arrow and the JVM take well."""
    numbers = np.searchsorted(item_ids, dataset.item_ids).astype(np.int32)
    found = matrix.tocoo()
    row, item = (numbers[side] for side in found.coords)
    table = pa.table([row, item, found.data.astype(np.float64)], schema=pa.schema(_CELL_TYPES))
    yield from table.to_batches(max_chunksize=500_000)


def read(
    running: Session,
    interactions: Sequence[Path],
    items: pa.Table | None,
    users: pa.Table | None,
    erased: Mapping[str, int],
    config: Mapping[str, Any],
) -> Dataset:
    """The data set as a model of this configuration needs it; the sums over everything are left to Spark."""
    frame = _frame(running, interactions)
    spelled = [row[0] or "" for row in frame.select("EVENT_TYPE").distinct().collect()]
    counts = rule(config, sorted({canonical_type(name) for name in spelled}))
    everything = Chosen(erased)

    def needed(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        dataset = everything.of(batches)
        if dataset is not None:
            kept = dataset.where(newest_or_first(dataset, mask(dataset, counts)))
            yield from _rows(kept).to_batches(max_chunksize=500_000)

    compact = frame.mapInArrow(needed, _ROWS).toArrow()
    dataset = Dataset.from_arrow(compact, items, users)
    # What is compact has lost them already. Spark takes NaN, which is no value, for the largest number.
    left_out = frame.where(f"NOT isnan(EVENT_VALUE) AND abs(EVENT_VALUE) > {LARGEST!r}").count()
    return replace(dataset, elsewhere=Summing(frame, dataset.item_ids, everything), left_out=left_out)


def _frame(running: Session, paths: Sequence[Path]) -> Frame:
    """All files as one frame with the same columns, whole users in each part."""
    united = None
    for path in paths:
        file = running.read.parquet(str(path))
        wanted = dict(field.split(" ") for field in _ROWS.split(", "))
        columns = [
            f"CAST({name if name in file.columns else 'NULL'} AS {kind}) AS {name}"
            for name, kind in wanted.items()
        ]
        united = file.selectExpr(*columns) if united is None else united.union(file.selectExpr(*columns))
    assert united is not None
    known = united.where("USER_ID IS NOT NULL AND ITEM_ID IS NOT NULL AND TIMESTAMP IS NOT NULL")
    parts = max(2, -(-known.count() // _ROWS_PER_PART))
    return known.repartition(parts, "USER_ID").cache()


def newest_or_first(dataset: Dataset, counts: np.ndarray) -> np.ndarray:
    """The rows that a model is made of: a user's newest of each type, and the first with each item of each.

    Those that count are told apart from those that don't. Popularity, the time of an item's first event
    and who ever did what with it are the same as with all rows.
    """
    kinds = dataset.event_types.astype(np.int64) * 2 + counts
    runs = np.lexsort((np.arange(len(dataset)), kinds, dataset.users))
    run = dataset.users[runs].astype(np.int64) * (kinds.max(initial=0) + 1) + kinds[runs]
    _, begins, sizes = np.unique(run, return_index=True, return_counts=True)
    place_from_end = np.repeat(begins + sizes, sizes) - np.arange(len(runs))
    kept = np.zeros(len(dataset), bool)
    kept[runs[place_from_end <= HISTORY]] = True
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


@contextmanager
def answering(spec: batch_inference.Spec, workspace: Path) -> Iterator[batch_inference.Write]:
    """Answer files by executors, in one session for all of them."""

    def answered(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        answerer = _answerer(spec)
        for batch in batches:
            asked = [str(line).encode() for line in batch.column(0).to_pylist()]
            said = [line.decode() for line in answerer.answers(list(answerer.lines(asked)))]
            yield pa.record_batch([pa.array(said, pa.string())], names=["value"])

    with session(spec.spark_master or "local[*]", workspace) as running:

        def write(stream: IO[bytes], output: IO[bytes]) -> tuple[int, int]:
            given = workspace / "lines.json"
            with given.open("wb") as file:
                shutil.copyfileobj(stream, file)
            lines = errors = 0
            frame = running.read.text(str(given)).mapInArrow(answered, "value string")
            for row in frame.toLocalIterator(prefetchPartitions=True):
                output.write(row.value.encode())
                lines += 1
                errors += not row.value.endswith('"error":null}\n')
            return lines, errors

        yield write


@lru_cache(maxsize=1)
def _answerer_in(spec: str) -> batch_inference.Answerer:
    """An executor's own copy of the model, for as long as the executor lives."""
    folder = Path(tempfile.mkdtemp(prefix="endcap-spark-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return batch_inference.Answerer.of(
        batch_inference.Spec(**json.loads(spec)), Objects.of(S3Settings.of("engine")), folder
    )


def _answerer(spec: batch_inference.Spec) -> batch_inference.Answerer:
    return _answerer_in(json.dumps(asdict(spec), sort_keys=True))
