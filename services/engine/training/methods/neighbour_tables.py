"""Cutting item-item matrices down to each item's strongest neighbours."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from shared.models import Neighbours
from shared.models.scoring import nth_highest, places

CELLS_PER_BLOCK = 4_000_000
_PRODUCTS_PER_BLOCK = 4_000_000
_KEY_BITS = 63
_FLOAT_BITS = 32
_MAGNITUDE_BITS = 31
_MAGNITUDE = (1 << _MAGNITUDE_BITS) - 1
"""The bits of a float32 without its sign."""


def strongest(rows: Callable[[int, int], NDArray[np.float32]], count: int, keep: int) -> Neighbours:
    """The `keep` largest weights by magnitude of each dense row, largest first.

    `rows(begin, end)` makes a block of rows, so the whole matrix need never exist.
    """
    height = max(1, CELLS_PER_BLOCK // max(count, 1))
    keep = min(keep, count)
    pieces: list[tuple[NDArray[np.int64], NDArray[np.int32], NDArray[np.float32]]] = []
    for begin in range(0, count, height):
        block = rows(begin, min(begin + height, count))
        size = np.abs(block)
        floor = np.zeros((len(block), 1), np.float32)
        full = np.count_nonzero(size, axis=1) > keep
        if full.any():
            floor[full] = nth_highest(size[full], keep)[:, None]
        row, item = places((size >= floor) & (size > 0))
        pieces.append(_cut(row, item, block[row, item], len(block), keep))
    return _joined(pieces)


def strongest_of_sparse(
    rows: Callable[[int, int], sparse.csr_array], count: int, keep: int, height: int
) -> Neighbours:
    """The same from blocks of sparse rows."""
    pieces = []
    for begin in range(0, count, height):
        block = rows(begin, min(begin + height, count)).tocoo()
        found = block.data != 0
        row, item = block.coords
        pieces.append(_cut(row[found], item[found], block.data[found], block.shape[0], keep))
    return _joined(pieces)


def rows_of(block: sparse.csr_array) -> NDArray[np.int64]:
    """The row of each entry."""
    return np.repeat(np.arange(block.shape[0]), np.diff(block.indptr))


def without_diagonal(block: sparse.csr_array, begin: int) -> sparse.csr_array:
    """Rows from `begin` on of an item-item matrix, changed in place: no item is its own neighbour."""
    block.data[rows_of(block) + begin == block.indices] = 0
    return block


def height(*matrices: sparse.csr_array) -> int:
    """How many rows of matrixᵀ · matrix, over all the matrices, keep a block's memory bounded."""
    work = sum(float((np.diff(each.indptr).astype(np.float64) ** 2).sum()) for each in matrices)
    return max(1, int(matrices[0].shape[1] * min(1.0, _PRODUCTS_PER_BLOCK / max(work, 1.0))))


def matrix(table: Neighbours) -> sparse.csr_array:
    """The table as a scipy matrix that shares its arrays."""
    count = len(table.offsets) - 1
    return sparse.csr_array((table.weights, table.items, table.offsets), shape=(count, count))


def _cut(
    row: NDArray[np.int64],
    item: NDArray[np.int64],
    weight: NDArray[np.float32],
    height: int,
    keep: int,
) -> tuple[NDArray[np.int64], NDArray[np.int32], NDArray[np.float32]]:
    """Counts per row, items and weights of each row's `keep` strongest; of equal ones the first items.

    `row` is in order. Row, falling magnitude, item and sign are the bits of one integer, which sorts in a
    fraction of the time of an argsort. The bits of positive floats rise with them.
    """
    found = np.bincount(row, minlength=height)
    item_bits = int(item.max(initial=1)).bit_length()
    rows_at_once = 1 << (_KEY_BITS - _FLOAT_BITS - item_bits)
    bits = weight.astype(np.float32).view(np.uint32).astype(np.int64)
    keys = ((row.astype(np.int64) % rows_at_once) << _MAGNITUDE_BITS) + (_MAGNITUDE - (bits & _MAGNITUDE))
    keys = (((keys << item_bits) + item) << 1) + (bits >> _MAGNITUDE_BITS)
    ends = np.cumsum(found)
    for begin in range(0, height, rows_at_once):
        low = ends[begin - 1] if begin else 0
        keys[low : ends[min(begin + rows_at_once, height) - 1]].sort()
    rank = np.arange(len(row)) - np.repeat(ends - found, found)
    keys = keys[rank < keep]
    bits = ((keys & 1) << _MAGNITUDE_BITS) + (_MAGNITUDE - ((keys >> (item_bits + 1)) & _MAGNITUDE))
    items = (keys >> 1) & ((1 << item_bits) - 1)
    return np.minimum(found, keep), items.astype(np.int32), bits.astype(np.uint32).view(np.float32)


def _joined(
    pieces: list[tuple[NDArray[np.int64], NDArray[np.int32], NDArray[np.float32]]],
) -> Neighbours:
    if not pieces:
        return Neighbours(np.zeros(1, np.int64), np.zeros(0, np.int32), np.zeros(0, np.float32))
    counts, items, weights = (np.concatenate(column) for column in zip(*pieces, strict=True))
    offsets = np.concatenate(([0], np.cumsum(counts))).astype(np.int64)
    return Neighbours(offsets, items, weights)
