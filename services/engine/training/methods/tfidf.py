"""What items say of themselves: names, categories and other words, as TF-IDF vectors."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from services.engine.recipes import tables
from services.engine.training.dataset.columns import Column
from services.engine.training.dataset.dataset import Dataset
from shared.models import Neighbours

_WORD = re.compile(r"\w+")
_PRODUCTS = 200_000_000


def vectors(dataset: Dataset, excluded: Collection[str] = ()) -> sparse.csr_array | None:
    """Items × words, rows of length 1 (or 0 where an item says nothing); None without any words.

    Words that many items share are dropped, the most frequent first, until the likeness of all items
    costs a bounded number of products.
    """
    columns = {
        name: column
        for name, column in dataset.item_columns.items()
        if column.dtype == object and name.upper() not in excluded
    }
    numbers: dict[str, int] = {}
    items, words = [], []
    for item, said in enumerate(_said(columns, len(dataset.item_ids))):
        for word in said:
            items.append(item)
            words.append(numbers.setdefault(word, len(numbers)))
    if not words:
        return None
    counts = np.bincount(words, minlength=len(numbers))
    kept = _affordable(counts)
    weights = np.log1p(len(dataset.item_ids) / counts).astype(np.float32) * kept
    matrix = sparse.csr_array((weights[words], (items, words)), shape=(len(dataset.item_ids), len(numbers)))
    matrix.eliminate_zeros()
    lengths = np.sqrt(np.asarray(matrix.multiply(matrix).sum(axis=1)).ravel())
    scale = (1 / np.maximum(lengths, 1e-9)).astype(np.float32)
    unit: sparse.csr_array = (sparse.diags_array(scale) @ matrix).tocsr()
    return unit if unit.nnz else None


def told(dataset: Dataset, excluded: Collection[str] = ()) -> bool:
    """Whether there is a column of text, of whatever worth."""
    return any(
        column.dtype == object and name.upper() not in excluded
        for name, column in dataset.item_columns.items()
    )


def alike(dataset: Dataset, keep: int, excluded: Collection[str] = ()) -> Neighbours:
    """Each item's `keep` neighbours by the cosine of their words; none where no two items share a word."""
    count = len(dataset.item_ids)
    said = vectors(dataset, excluded)
    if said is None:
        return Neighbours(np.zeros(count + 1, np.int64), np.zeros(0, np.int32), np.zeros(0, np.float32))
    spoken = said.T.tocsr()

    def rows(begin: int, end: int) -> sparse.csr_array:
        block = (said[begin:end] @ spoken).tocoo()
        row, item = block.coords
        other = row + begin != item
        cosine = np.minimum(block.data[other], 1).astype(np.float32)
        return sparse.coo_array((cosine, (row[other], item[other])), shape=block.shape).tocsr()

    return tables.strongest_of_sparse(rows, count, keep, tables.height(spoken))


def _said(columns: Mapping[str, Column], count: int) -> Iterator[list[str]]:
    """Each item's distinct words, and each value as a whole where values repeat."""
    repeating = {name for name, column in columns.items() if len(set(column.tolist())) <= max(2, count // 2)}
    for item in range(count):
        words: set[str] = set()
        for name, column in columns.items():
            if column[item] is None:
                continue
            for value in str(column[item]).casefold().split("|"):
                words.update(_WORD.findall(value))
                if name in repeating:
                    words.add(f"{name}={value}")
        yield sorted(words)


def _affordable(counts: NDArray[np.int64]) -> NDArray[np.bool_]:
    """The rarest words whose pairs of items are not too many; a word of one item likens nothing."""
    order = np.argsort(counts, kind="stable")
    spent = np.cumsum(counts[order].astype(np.float64) ** 2)
    kept = np.zeros(len(counts), bool)
    kept[order[spent <= _PRODUCTS]] = True
    return kept & (counts > 1)
