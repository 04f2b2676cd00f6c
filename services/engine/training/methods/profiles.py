"""Builds the rows in which nearest profiles are looked up, with an index of the rows of each item."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from services.engine.training.dataset.events import offsets_of
from shared.models import NearestProfiles

_ENTRIES_PER_ITEM = 2_000
"""The newest entries of an item that are searched: bounds the time of a query with a popular item."""


def nearest_profiles(
    rows: NDArray[np.int64],
    items: NDArray[np.int32],
    *,
    matches: NDArray[np.float64],
    weights: NDArray[np.float64],
    scale: NDArray[np.float64],
    item_count: int,
    nearest: int,
    reach: float,
) -> NearestProfiles:
    """Return profiles from entries sorted by row.

    `rows`, `items`, `matches` and `weights` have one cell per entry. `scale`, float64[rows], multiplies the
    similarity of a row; `nearest` rows are used, and with `reach` above 0 an entry decays with its distance
    from the query's last item.
    """
    entries = np.argsort(items, kind="stable")
    popularity = np.bincount(items, minlength=item_count)
    rank_from_end = np.repeat(np.cumsum(popularity), popularity) - np.arange(len(entries))
    entries = entries[rank_from_end <= _ENTRIES_PER_ITEM]
    return NearestProfiles(
        offsets=offsets_of(np.bincount(rows, minlength=len(scale))),
        items=items.astype(np.int32),
        entry_rows=rows.astype(np.int32),
        match_weights=matches.astype(np.float32),
        weights=weights.astype(np.float32),
        item_offsets=offsets_of(np.minimum(popularity, _ENTRIES_PER_ITEM)),
        item_entries=entries.astype(np.int32),
        scale=scale.astype(np.float32),
        nearest=nearest,
        reach=reach,
    )
