"""Long columns in files: the same data sets and models as in memory, a piece at a time."""

from __future__ import annotations

import weakref
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from services.engine.domain.solution_config import TrainingConfig
from services.engine.training.dataset import columns
from services.engine.training.dataset.columns import ColumnStorage
from services.engine.training.methods import item_cosine
from services.engine.training.recipes import RECIPES, Dataset, ecommerce, train
from shared import models
from tests.unit.engine.training.conftest import START, crowd, interactions

RECIPES_IN_PIECES = [
    "aws-user-personalization",
    "aws-similar-items",
    "aws-sims",
    "aws-trending-now",
    "aws-popularity-count",
    "endcap-session",
    "aws-item-affinity",
]


@pytest.fixture
def files(tmp_path: Path) -> ColumnStorage:
    """Every column in a file, and pieces of no more than two hundred interactions."""
    return ColumnStorage(tmp_path, mapped_from_bytes=1, rows_per_piece=200)


@pytest.fixture(autouse=True)
def _small_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(columns, "ROWS_PER_PIECE", 150)


def shop() -> pa.Table:
    """A crowd in any order; one of them did a lot, and some things twice; some rows say too little."""
    busy = [("u7", f"{'ab'[step % 2]}{step % 8}", step, "view") for step in range(300)]
    poor = pa.table({"USER_ID": ["u1", None], "ITEM_ID": [None, "a1"], "TIMESTAMP": [START, START]})
    rows = pa.concat_tables([crowd(400), interactions(busy), poor], promote_options="default")
    values = np.random.default_rng(1).random(len(rows)).astype(np.float32)
    rows = rows.append_column("EVENT_VALUE", pa.array(values))
    return pa.concat_tables([rows, rows.slice(100, 50)]).take(np.random.default_rng(2).permutation(len(rows)))


def slices(table: pa.Table, rows: int) -> Iterator[pa.Table]:
    for begin in range(0, len(table), rows):
        yield table.slice(begin, rows)


def resident(folder: Path) -> int:
    """How many kilobytes of mapped files of a folder are in this process's memory."""
    total, ours = 0, False
    for line in Path("/proc/self/smaps").read_text().splitlines():
        if "-" in line.split(" ", 1)[0]:
            ours = str(folder) in line
        elif ours and line.startswith("Rss:"):
            total += int(line.split()[1])
    return total


def test_what_is_read_piece_by_piece_into_files_is_what_is_read_at_once(files: ColumnStorage) -> None:
    table = shop()
    items, users = pa.table({"ITEM_ID": ["new", "a1"]}), pa.table({"USER_ID": ["u999", "nobody"]})
    held = Dataset.from_arrow(table, items, users)

    read = Dataset.read(slices(table, 70), len(table), items, users, files)

    assert len(held) > 10 * files.rows_per_piece
    assert read.event_type_names == held.event_type_names
    assert read.user_ids.tolist() == held.user_ids.tolist()
    assert read.item_ids.tolist() == held.item_ids.tolist()
    for one, other in zip(read.columns, held.columns, strict=True):
        assert one.dtype == other.dtype
        np.testing.assert_array_equal(one, other)


def test_a_table_is_gone_before_the_next_one_is_read(files: ColumnStorage) -> None:
    whole = shop()
    earlier: list[weakref.ref[pa.Table]] = []

    def tables() -> Iterator[pa.Table]:
        for begin in range(0, len(whole), 100):
            assert all(table() is None for table in earlier)
            table = whole.slice(begin, 100)
            earlier.append(weakref.ref(table))
            yield table
            del table

    Dataset.read(tables(), len(whole), storage=files)

    assert len(earlier) > 10


def test_what_was_gone_over_takes_no_memory(files: ColumnStorage, tmp_path: Path) -> None:
    table = shop()
    read = Dataset.read(slices(table, 500), len(table), storage=files)
    few = read.where(read.users % 2 == 0)
    assert few.users.max() > 0
    assert resident(tmp_path) > 0

    seen = [len(some) for some in few.chunks()] + [len(some) for some in read.chunks()]

    assert sum(seen) == len(few) + len(read)
    assert resident(tmp_path) == 0


@pytest.mark.parametrize("recipe", RECIPES_IN_PIECES)
def test_a_model_is_the_same_from_files(
    recipe: str, files: ColumnStorage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    table = shop()
    held, metrics = train(RECIPES[recipe], Dataset.from_arrow(table), TrainingConfig())
    models.save(held, tmp_path / "held")

    read = Dataset.read(slices(table, 300), len(table), storage=files)
    piecewise, again = train(RECIPES[recipe], read, TrainingConfig())
    models.save(piecewise, tmp_path / "piecewise")

    assert again == metrics
    assert models.fingerprint(tmp_path / "piecewise") == models.fingerprint(tmp_path / "held")


def test_users_in_common_are_the_same_counted_in_pieces_and_held(
    files: ColumnStorage, monkeypatch: pytest.MonkeyPatch
) -> None:
    table = shop()
    read = Dataset.read(slices(table, 300), len(table), storage=files)
    counted = item_cosine.item_cosine(read, shrinkage=10, keep=5)

    monkeypatch.setattr(item_cosine, "_CELLS_PER_INTERACTION", 0)
    held = item_cosine.item_cosine(read, shrinkage=10, keep=5)

    np.testing.assert_array_equal(counted.items, held.items)
    np.testing.assert_array_equal(counted.weights, held.weights)


def test_baskets_are_the_same_in_pieces(files: ColumnStorage) -> None:
    table = shop()
    held = ecommerce.daily_baskets(Dataset.from_arrow(table))

    piecewise = ecommerce.daily_baskets(Dataset.read(slices(table, 300), len(table), storage=files))

    assert len(held.user_ids) > 1000
    np.testing.assert_array_equal(piecewise.user_ids, held.user_ids)
    np.testing.assert_array_equal(piecewise.users, held.users)


def test_a_full_disk_is_reported(tmp_path: Path) -> None:
    with pytest.raises(OSError, match=r"No space left|too large"):
        ColumnStorage(tmp_path, mapped_from_bytes=1).empty(1 << 58, np.int8)
