"""XᵀX of users × items, added up over pieces of users: dense, for catalogues that afford it."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from services.engine.recipes import tables


def added_up(pieces: Iterable[sparse.csr_array], count: int) -> NDArray[np.float32]:
    """The sum over pieces of users, each of them users × `count` items, in blocks of rows."""
    total = np.zeros((count, count), np.float32)
    for seen in pieces:
        holders = seen.T.tocsr()
        height = tables.height(seen)
        for begin in range(0, count, height):
            total[begin : begin + height] += (holders[begin : begin + height] @ seen).toarray()
    return total
