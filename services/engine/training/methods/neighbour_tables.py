"""Tables of each item's strongest neighbours, cut from item-item matrices a block of rows at a time."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import scipy
from numpy.typing import NDArray

from shared.models import Neighbours
from shared.models.scoring import nth_highest, places

CELLS_PER_BLOCK = 4_000_000
"""Cells of a dense block: 16 MB of float32."""
_PRODUCTS_PER_BLOCK = 4_000_000
_KEY_BITS = 63
_FLOAT_BITS = 32
_MAGNITUDE_BITS = 31
_MAGNITUDE = (1 << _MAGNITUDE_BITS) - 1
"""The bits of a float32 without its sign."""


def strongest(rows: Callable[[int, int], NDArray[np.float32]], count: int, keep: int) -> Neighbours:
    """Return the `keep` largest weights of each item by magnitude, largest first.

    Of equal weights the first items are kept.     `rows(begin, end)` returns a block of the matrix,
    float32[rows, items], so that the whole matrix need not exist.
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
    rows: Callable[[int, int], scipy.sparse.csr_array], count: int, keep: int, height: int
) -> Neighbours:
    """Return the same from blocks of `height` sparse rows, CSR float[rows, items]."""
    pieces = []
    for begin in range(0, count, height):
        block = rows(begin, min(begin + height, count)).tocoo()
        stored = block.data != 0
        row, item = block.coords
        pieces.append(_cut(row[stored], item[stored], block.data[stored], block.shape[0], keep))
    return _joined(pieces)


def rows_of(block: scipy.sparse.csr_array) -> NDArray[np.int64]:
    """Return the row of each stored entry: int64[entries]."""
    return np.repeat(np.arange(block.shape[0]), np.diff(block.indptr))


def without_diagonal(block: scipy.sparse.csr_array, begin: int) -> scipy.sparse.csr_array:
    """Set the diagonal to 0 in place, of rows from `begin` on; return the block, CSR float[rows, items]."""
    block.data[rows_of(block) + begin == block.indices] = 0
    return block


def height(*matrices: scipy.sparse.csr_array) -> int:
    """Return how many rows of matrixᵀ · matrix, over all matrices, keep the memory of a block bounded."""
    work = sum(float((np.diff(each.indptr).astype(np.float64) ** 2).sum()) for each in matrices)
    return max(1, int(matrices[0].shape[1] * min(1.0, _PRODUCTS_PER_BLOCK / max(work, 1.0))))


def matrix(table: Neighbours) -> scipy.sparse.csr_array:
    """Return the table as a matrix that shares its arrays: CSR float32[items, items]."""
    count = len(table.offsets) - 1
    return scipy.sparse.csr_array((table.weights, table.items, table.offsets), shape=(count, count))


def _cut(
    row: NDArray[np.int64],
    item: NDArray[np.int64],
    weight: NDArray[np.float32],
    height: int,
    keep: int,
) -> tuple[NDArray[np.int64], NDArray[np.int32], NDArray[np.float32]]:
    """Return counts[rows], items[neighbours] and weights[neighbours] of each row's `keep` strongest entries.

    `row` is sorted. Row, falling magnitude, item and sign are the bits of one integer, which sorts in a
    fraction of the time of an argsort: the bits of positive floats rise with them.
    """
    counts = np.bincount(row, minlength=height)
    item_bits = int(item.max(initial=1)).bit_length()
    rows_per_sort = 1 << (_KEY_BITS - _FLOAT_BITS - item_bits)
    bits = weight.astype(np.float32).view(np.uint32).astype(np.int64)
    keys = ((row.astype(np.int64) % rows_per_sort) << _MAGNITUDE_BITS) + (_MAGNITUDE - (bits & _MAGNITUDE))
    keys = (((keys << item_bits) + item) << 1) + (bits >> _MAGNITUDE_BITS)
    ends = np.cumsum(counts)
    for begin in range(0, height, rows_per_sort):
        low = ends[begin - 1] if begin else 0
        keys[low : ends[min(begin + rows_per_sort, height) - 1]].sort()
    rank = np.arange(len(row)) - np.repeat(ends - counts, counts)
    keys = keys[rank < keep]
    bits = ((keys & 1) << _MAGNITUDE_BITS) + (_MAGNITUDE - ((keys >> (item_bits + 1)) & _MAGNITUDE))
    items = (keys >> 1) & ((1 << item_bits) - 1)
    return np.minimum(counts, keep), items.astype(np.int32), bits.astype(np.uint32).view(np.float32)


def _joined(
    pieces: list[tuple[NDArray[np.int64], NDArray[np.int32], NDArray[np.float32]]],
) -> Neighbours:
    if not pieces:
        return Neighbours(np.zeros(1, np.int64), np.zeros(0, np.int32), np.zeros(0, np.float32))
    counts, items, weights = (np.concatenate(column) for column in zip(*pieces, strict=True))
    offsets = np.concatenate(([0], np.cumsum(counts))).astype(np.int64)
    return Neighbours(offsets, items, weights)
