"""TF-IDF vectors of items' text columns (names, categories, descriptions), and their cosine similarity."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping

import numpy as np
import scipy
from numpy.typing import NDArray

from services.engine.training.dataset.columns import Column
from services.engine.training.dataset.dataset import Dataset
from services.engine.training.methods import neighbour_tables
from shared.models import Neighbours

_WORD = re.compile(r"\w+")
_MAX_PRODUCTS = 200_000_000
"""Products that the similarities of all items may cost: seconds on one core."""


def vectors(dataset: Dataset, excluded: Collection[str] = ()) -> scipy.sparse.csr_array | None:
    """Return one row per item, of length 1 or 0: CSR float32[items, words]; None without any words.

    Words that many items share are dropped, the most frequent first, until the similarities of all items
    cost a bounded number of products. `excluded` are upper-case names of columns.
    """
    columns = {
        name: column
        for name, column in dataset.item_columns.items()
        if column.dtype == object and name.upper() not in excluded
    }
    numbers: dict[str, int] = {}
    items, words = [], []
    for item, item_words in enumerate(_words_of_items(columns, len(dataset.item_ids))):
        for word in item_words:
            items.append(item)
            words.append(numbers.setdefault(word, len(numbers)))
    if not words:
        return None
    counts = np.bincount(words, minlength=len(numbers))
    kept = _affordable(counts)
    weights = np.log1p(len(dataset.item_ids) / counts).astype(np.float32) * kept
    matrix = scipy.sparse.csr_array(
        (weights[words], (items, words)), shape=(len(dataset.item_ids), len(numbers))
    )
    matrix.eliminate_zeros()
    lengths = np.sqrt(np.asarray(matrix.multiply(matrix).sum(axis=1)).ravel())
    scale = (1 / np.maximum(lengths, 1e-9)).astype(np.float32)
    unit: scipy.sparse.csr_array = (scipy.sparse.diags_array(scale) @ matrix).tocsr()
    return unit if unit.nnz else None


def has_text_columns(dataset: Dataset, excluded: Collection[str] = ()) -> bool:
    """Return whether the items have a text column that is not `excluded`, even one without usable words."""
    return any(
        column.dtype == object and name.upper() not in excluded
        for name, column in dataset.item_columns.items()
    )


def tfidf_neighbours(dataset: Dataset, keep: int, excluded: Collection[str] = ()) -> Neighbours:
    """Return each item's `keep` neighbours by the cosine of their words; none if no items share a word."""
    count = len(dataset.item_ids)
    item_words = vectors(dataset, excluded)
    if item_words is None:
        return Neighbours(np.zeros(count + 1, np.int64), np.zeros(0, np.int32), np.zeros(0, np.float32))
    word_items = item_words.T.tocsr()

    def rows(begin: int, end: int) -> scipy.sparse.csr_array:
        """Return a block of rows: CSR float32[rows, items]."""
        block = (item_words[begin:end] @ word_items).tocoo()
        row, item = block.coords
        kept = row + begin != item
        cosine = np.minimum(block.data[kept], 1).astype(np.float32)
        return scipy.sparse.coo_array((cosine, (row[kept], item[kept])), shape=block.shape).tocsr()

    return neighbour_tables.strongest_of_sparse(rows, count, keep, neighbour_tables.height(word_items))


def _words_of_items(columns: Mapping[str, Column], count: int) -> Iterator[list[str]]:
    """Yield each item's distinct words, and its values as a whole in columns where values repeat."""
    categorical = {
        name for name, column in columns.items() if len(set(column.tolist())) <= max(2, count // 2)
    }
    for item in range(count):
        words: set[str] = set()
        for name, column in columns.items():
            if column[item] is None:
                continue
            for value in str(column[item]).casefold().split("|"):
                words.update(_WORD.findall(value))
                if name in categorical:
                    words.add(f"{name}={value}")
        yield sorted(words)


def _affordable(counts: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Return the rarest words whose pairs of items are not too many, without those of a single item."""
    order = np.argsort(counts, kind="stable")
    products = np.cumsum(counts[order].astype(np.float64) ** 2)
    kept = np.zeros(len(counts), bool)
    kept[order[products <= _MAX_PRODUCTS]] = True
    return kept & (counts > 1)
