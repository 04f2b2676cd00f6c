"""A training: the dataset group's rows become a model folder in the data bucket."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from services.engine.computations.batch_inference import fetch_model
from services.engine.computations.context_counts import Tally
from services.engine.store.objects import Objects, sha256_of
from services.engine.training.dataset.columns import ROWS_PER_PIECE, ColumnStorage
from services.engine.training.dataset.erasure import without_erased
from services.engine.training.dataset.event_weights import counted_interactions
from services.engine.training.recipes import RECIPES, Dataset, train
from services.engine.training.recipes.recipe import excluded_columns
from shared import models
from shared.errors import Permanent
from shared.events.values import LARGEST

FEWEST_INTERACTIONS = 1000
FEWEST_USERS = 25
NOTHING = (
    "The dataset group has no interactions to train on: import a file of them, or send events with the event "
    "tracker, and train again. Events without a userId train once an event with a userId has the same "
    "sessionId."
)
_TEXTS = ("USER_ID", "ITEM_ID", "EVENT_TYPE")

Report = Callable[[str, float], None]
# The stubs of pyarrow lose the type of most computed columns.
Arrow = Any


@dataclass(frozen=True, slots=True)
class Spec:
    """What to train on: keys of the data bucket and local files of received rows, both by dataset type.

    `like` is the model (a prefix of the data bucket, and its fingerprint) whose choices are taken over.
    `erased` says of deleted users until which second nothing of theirs is used. With a `spark_master`
    what is added up over all users is added up by Spark. `context` are the metadata columns of the
    interactions, None without a dataset of them, and `counted` those whose values are counted.
    """

    recipe: str
    config: dict[str, Any]
    parts: dict[str, list[str]]
    received: dict[str, str]
    folder: str
    strict: bool
    like: str | None = None
    like_sha256: str | None = None
    erased: dict[str, int] = field(default_factory=dict)
    spark_master: str | None = None
    context: list[str] | None = None
    counted: list[str] = field(default_factory=list)


def run(spec: Spec, objects: Objects, workspace: Path, report: Report) -> dict[str, Any]:
    """Fit, judge and upload; gives the metrics, the model's fingerprint and what to warn of."""
    began = time.monotonic()
    report("read datasets", 0.0)
    left_out = excluded_columns(spec.config, "INTERACTIONS", spec.counted)
    tally = Tally([name for name in spec.counted if name.upper() not in left_out])
    with _data(spec, tally, objects, workspace) as dataset:
        return _trained(spec, dataset, tally, objects, workspace, report) | {
            "seconds": round(time.monotonic() - began, 3)
        }


def _trained(
    spec: Spec, dataset: Dataset, tally: Tally, objects: Objects, workspace: Path, report: Report
) -> dict[str, Any]:
    if not len(dataset) and RECIPES[spec.recipe].needs_interactions:
        raise Permanent(NOTHING)
    event_type = RECIPES[spec.recipe].event_type
    counting = {**spec.config, "eventType": event_type, "eventsConfig": None} if event_type else spec.config
    warnings = too_little(dataset, counting, strict=spec.strict) if len(dataset) else []
    like = None
    if spec.like is not None:
        like = fetch_model(spec.like, spec.like_sha256 or "", objects, workspace / "like")
    told = part_of(report, "train", 0.1, 0.8)
    model, metrics = train(RECIPES[spec.recipe], dataset, spec.config, told, like)
    model = replace(model, context=tally.context(spec.context, model.items))
    folder = workspace / "model"
    models.save(model, folder)
    report("upload the model", 0.9)
    fingerprint = models.fingerprint(folder)
    upload(folder, spec.folder, fingerprint, objects)
    return {
        "metrics": metrics,
        "model_sha256": fingerprint,
        "traits": None if model.traits is None else model.traits.model_dump(),
        "notes": dict(model.notes),
        "imported": spec.parts.get("INTERACTIONS", []),
        "interactions": len(dataset),
        "users": len(dataset.user_ids),
        "items": len(dataset.item_ids),
        "warnings": [*warnings, *left_out(dataset.dropped_values)],
    }


def left_out(values: int) -> list[str]:
    """Say how many values were left out: they were stored before intake had a bound."""
    if not values:
        return []
    return [f"{values} interactions have an EVENT_VALUE beyond {LARGEST:g}; they count without it."]


def part_of(report: Report, what: str, begin: float, share: float) -> Report:
    """Report a step's own progress as a part of the whole."""

    def progress(step: str, done: float) -> None:
        report(f"{what}: {step}", begin + share * done)

    return progress


@contextmanager
def _data(spec: Spec, tally: Tally, objects: Objects, workspace: Path) -> Iterator[Dataset]:
    """The data set, for as long as its backend lives."""
    items, users = (
        overridden(_table(spec, kind, objects, workspace), _received(spec, kind), key)
        for kind, key in (("ITEMS", "ITEM_ID"), ("USERS", "USER_ID"))
    )
    files = _files(spec, objects, workspace)
    if spec.spark_master is None or not RECIPES[spec.recipe].adds_up:
        rows = sum(pq.read_metadata(path).num_rows for path in files)
        tables = _interactions(files, spec.erased, tally)
        dataset = Dataset.read(tables, rows, items, users, ColumnStorage(workspace))
        # What Arrow has read with would stay with it.
        pa.default_memory_pool().release_unused()
        yield dataset
        return
    # Half a gigabyte of libraries that only this backend needs.
    from services.engine.training.distributed import spark  # noqa: PLC0415

    if tally.columns:
        # Spark reads the columns that train alone.
        for _ in _interactions(files, spec.erased, tally):
            pass
    with spark.session(spec.spark_master, workspace) as running:
        yield spark.read(running, files, items, users, spec.erased, spec.config)


def _files(spec: Spec, objects: Objects, workspace: Path) -> list[Path]:
    """Local files of all interactions."""
    kind = "INTERACTIONS"
    files = _downloaded(spec.parts.get(kind, []), objects, workspace / kind.lower())
    return [*files, Path(spec.received[kind])] if kind in spec.received else files


def _interactions(files: list[Path], erased: Mapping[str, int], tally: Tally) -> Iterator[pa.Table]:
    """What trains of some files, without what deleted users did: some millions of rows at a time.

    Texts are dictionary-encoded. The tally counts the circumstances of the same rows.
    """
    for path in files:
        wanted = (*_TEXTS, "EVENT_VALUE", "TIMESTAMP", *tally.columns)
        known = pq.read_schema(path).names
        present = [name for name in wanted if name in known]
        file = pq.ParquetFile(path, read_dictionary=[name for name in _TEXTS if name in known])
        for groups in _row_groups(file):
            rows = without_erased(file.read_row_groups(groups, columns=present), erased)
            tally.add(rows)
            yield rows.drop_columns([name for name in tally.columns if name in present])


def _row_groups(file: pq.ParquetFile) -> Iterator[list[int]]:
    """A file's row groups, as many together as hold some millions of rows."""
    groups: list[int] = []
    rows = 0
    for number in range(file.num_row_groups):
        more = file.metadata.row_group(number).num_rows
        if groups and rows + more > ROWS_PER_PIECE:
            yield groups
            groups, rows = [], 0
        groups, rows = [*groups, number], rows + more
    if groups:
        yield groups


def overridden(imported: pa.Table | None, put: pa.Table | None, key: str) -> pa.Table | None:
    """One row per id: of imported rows the last, with what was put over it column by column."""
    if imported is None or put is None:
        return put if imported is None else imported
    ids: Arrow = pc.unique(pa.chunked_array([*imported[key].chunks, *put[key].chunks], pa.string()))
    newest, said = _rows(imported, key, ids), _rows(put, key, ids)
    columns: dict[str, Arrow] = {key: ids}
    for name in dict.fromkeys([*imported.column_names, *put.column_names]):
        if name == key:
            continue
        found = [
            table[name].take(rows)
            for table, rows in ((put, said), (imported, newest))
            if name in table.column_names
        ]
        columns[name] = pc.coalesce(*found)
    return pa.table(columns)


def _rows(table: pa.Table, key: str, ids: Arrow) -> Arrow:
    """The last row of each id; null where there is none."""
    backwards: Arrow = table[key].combine_chunks()[::-1]
    return pc.subtract(pa.scalar(table.num_rows - 1), pc.index_in(ids, value_set=backwards))


def _table(spec: Spec, kind: str, objects: Objects, workspace: Path) -> pa.Table | None:
    keys = spec.parts.get(kind)
    if not keys:
        return None
    paths = _downloaded(keys, objects, workspace / kind.lower())
    return pa.concat_tables([pq.read_table(path) for path in paths], promote_options="permissive")


def _received(spec: Spec, kind: str) -> pa.Table | None:
    return pq.read_table(spec.received[kind]) if kind in spec.received else None


def _downloaded(keys: list[str], objects: Objects, folder: Path) -> list[Path]:
    """A local copy of each object."""
    paths = [folder / f"{number:05}.parquet" for number in range(len(keys))]
    for key, path in zip(keys, paths, strict=True):
        objects.download(objects.data_bucket, key, path)
    return paths


def too_little(dataset: Dataset, config: Mapping[str, Any], *, strict: bool) -> list[str]:
    """What Personalize would refuse to train on, in its words; Permanent with them when strict."""
    chosen = config.get("eventType")
    filtered = f" after filtering by event type: {chosen}" if chosen else ""
    if chosen and not dataset.count(chosen):
        counted = dataset.where(np.zeros(len(dataset), bool))
    else:
        counted = counted_interactions(dataset, config)
    sentences = []
    if len(counted) < FEWEST_INTERACTIONS:
        sentences.append(f"Dataset has fewer than {FEWEST_INTERACTIONS} interactions{filtered or '.'}")
    if int((np.diff(counted.offsets()) >= 2).sum()) < FEWEST_USERS:
        sentences.append(f"Dataset has fewer than {FEWEST_USERS} users with at least 2 interactions each.")
    if sentences and strict:
        raise Permanent(" ".join(sentences))
    return sentences


def upload(folder: Path, prefix: str, fingerprint: str, objects: Objects) -> None:
    """Copy the model's files, and then, beside their folder, the manifest that says they are whole."""
    files = []
    for path in sorted(folder.iterdir()):
        objects.upload(path, objects.data_bucket, f"{prefix}{path.name}", "The model can't be stored.")
        files.append(ModelFile(path.name, path.stat().st_size, sha256_of(path)))
    manifest = {"version": 1, "sha256": fingerprint, "files": [asdict(file) for file in files]}
    objects.put(orjson.dumps(manifest, option=orjson.OPT_INDENT_2), f"{prefix.rstrip('/')}.manifest.json")


@dataclass(frozen=True, slots=True)
class ModelFile:
    """One file of a model folder, as its manifest lists it."""

    name: str
    bytes: int
    sha256: str
