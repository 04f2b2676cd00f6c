"""What others did: rows of their events, found by the items that they share with a query."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from shared.models.histories import Occasions, ranges
from shared.models.scoring import Scores

_ROWS_PER_PLACE = 4


@dataclass(frozen=True)
class Peers:
    """Sessions or customers, whichever the rows are, and the items that they held.

    Row r holds `items[offsets[r]:offsets[r + 1]]` in the order of its events; `row_of` says of each place
    whose it is. `holders[holder_offsets[i]:holder_offsets[i + 1]]` are the places that hold item i. A query
    and a row are as alike as the query's shares of the items that they have in common, times `matches` at
    their places and the row's `scale`. The `nearest` rows then say their `weights`, in proportion to
    their likeness. With a `reach` above 0 a place counts the less, the further it lies from what the query
    did last (e^(−steps / reach)), and that item itself does not count.
    """

    kind: ClassVar[str] = "peers"

    offsets: NDArray[np.int64]
    items: NDArray[np.int32]
    row_of: NDArray[np.int32]
    matches: NDArray[np.float32]
    weights: NDArray[np.float32]
    holder_offsets: NDArray[np.int64]
    holders: NDArray[np.int32]
    scale: NDArray[np.float32]
    nearest: int
    reach: float

    def arrays(self) -> dict[str, NDArray[Any]]:
        """The arrays by name, as a model folder keeps them."""
        return {
            "offsets": self.offsets,
            "items": self.items,
            "row_of": self.row_of,
            "matches": self.matches,
            "weights": self.weights,
            "holder_offsets": self.holder_offsets,
            "holders": self.holders,
            "scale": self.scale,
        }

    def settings(self) -> dict[str, float]:
        """What a model folder keeps beside the arrays."""
        return {"nearest": self.nearest, "reach": self.reach}

    def add(self, scores: Scores, seen: Occasions, shares: Scores) -> None:
        """Add what the nearest rows say to each query's row of `scores`."""
        ends = np.searchsorted(seen.users, np.arange(len(scores)), side="right").tolist()
        begin = 0
        for number, end in enumerate(ends):
            if end > begin:
                self._add_one(scores[number], seen.items[begin:end], shares[begin:end])
            begin = end

    def _add_one(self, scores: Scores, items: NDArray[np.int32], shares: Scores) -> None:
        begins = self.holder_offsets[items]
        counts = self.holder_offsets[items + 1] - begins
        places = self.holders[ranges(begins, counts)]
        matches = np.repeat(shares, counts) * self.matches[places]
        near, likeness, anchors = self._by_row(places, matches)
        if len(near) > self.nearest:
            kept = np.argpartition(-likeness, self.nearest)[: self.nearest]
            near, likeness, anchors = near[kept], likeness[kept], anchors[kept]
        if len(near):
            self._say(scores, near, likeness * (float(shares.sum()) / likeness.sum()), anchors)

    def _by_row(
        self, places: NDArray[np.int32], matches: Scores
    ) -> tuple[NDArray[np.int64], NDArray[Any], NDArray[np.int32]]:
        """Return the rows that `places` are of, how alike they are, and the last place of each.

        `places` are in the order of the query, so the last one is what the query touched last. To count by
        row takes a fifth of the time of sorting, where the rows are not many times as many as the places.
        """
        rows = self.row_of[places]
        if len(self.scale) <= _ROWS_PER_PLACE * len(places):
            likeness = np.bincount(rows, matches, minlength=len(self.scale)) * self.scale
            touched: NDArray[np.int64] = np.flatnonzero(likeness)
            last = np.empty(len(self.scale), np.int32)
            last[rows] = places
            return touched, likeness[touched], last[touched]
        if len(places) == 0:
            return np.zeros(0, np.int64), np.zeros(0), places
        # Sorting integers that hold the row and the place in the query's order takes a tenth of the time of a
        # stable argsort.
        keys: NDArray[np.int64] = (rows.astype(np.int64) << 32) + np.arange(len(places))
        keys.sort()
        order, ordered = keys & 0xFFFFFFFF, keys >> 32
        first = np.concatenate(([0], np.flatnonzero(ordered[1:] != ordered[:-1]) + 1))
        near: NDArray[np.int64] = ordered[first]
        likeness = np.add.reduceat(matches[order], first) * self.scale[near]
        anchors = places[order[np.concatenate((first[1:], [len(places)])) - 1]]
        return near, likeness, anchors

    @cached_property
    def _fades(self) -> Scores:
        """What a place counts at each distance, in steps, from what the query did last: there, nothing."""
        longest = int(np.diff(self.offsets).max(initial=0))
        fades = np.exp(np.arange(longest + 1) / -self.reach)
        fades[0] = 0.0
        return fades

    def _say(self, scores: Scores, near: NDArray[np.int64], says: Scores, anchors: NDArray[np.int32]) -> None:
        begins = self.offsets[near]
        counts = self.offsets[near + 1] - begins
        places = ranges(begins, counts)
        said = np.repeat(says, counts) * self.weights[places]
        if self.reach > 0:
            said *= self._fades[np.abs(places - np.repeat(anchors, counts))]
        np.add.at(scores, self.items[places], said)
