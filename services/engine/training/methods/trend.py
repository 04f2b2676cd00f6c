"""Trends: the rise of items' interactions from one interval to the next."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from services.engine.training.dataset.dataset import Dataset


def rises(dataset: Dataset, end: int, seconds: int) -> NDArray[np.float64]:
    """Return the rise of each item from the interval before the last to the last one: float64[items].

    The last interval of `seconds` ends before `end`, in epoch seconds. A rise is (now − before) /
    √(now + before + 1): in units of the standard deviation of chance, so one event after none is no trend
    beside a hundred after fifty.
    """
    count = len(dataset.item_ids)
    now, before = np.zeros(count, np.int64), np.zeros(count, np.int64)
    for chunk in dataset.chunks():
        age = (end - 1 - chunk.times) // seconds
        now += np.bincount(chunk.items[age == 0], minlength=count)
        before += np.bincount(chunk.items[age == 1], minlength=count)
    rise: NDArray[np.float64] = (now - before) / np.sqrt(now + before + 1.0)
    return rise
