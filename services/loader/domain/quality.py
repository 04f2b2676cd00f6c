"""The quality of a generation's lists: reach, concentration, popularity, and drift from the lists before.

Rank overlap is average overlap (Fagin, Kumar and Sivakumar, Comparing top k lists, 2003) at depth 10;
popularity lift is that of Abdollahpouri et al. (2019), https://arxiv.org/abs/1907.13286.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

SHOWN_TYPES: Final = ("impression", "exposure", "list_view")
"""Event types of what was shown to a user, which are no interest in an item."""

OVERLAP_DEPTH: Final = 10
"""Places at the top that rank overlap compares; arbitrary: what a placement usually shows."""


def average_overlap(first: Sequence[str], second: Sequence[str], depth: int = OVERLAP_DEPTH) -> float:
    """Return the mean share of items in common at each depth, from 0.0 to 1.0 for equal lists.

    Lists have distinct items, best first. Two empty lists are equal; the depth is at most the longer length.
    """
    depth = min(depth, max(len(first), len(second)))
    if not depth:
        return 1.0
    of_first: set[str] = set()
    of_second: set[str] = set()
    common, total = 0, 0.0
    for place in range(depth):
        for seen, opposite, items in ((of_first, of_second, first), (of_second, of_first, second)):
            if place < len(items):
                seen.add(items[place])
                common += items[place] in opposite
        total += common / (place + 1)
    return total / depth


def gini(counts: Iterable[int], size: int) -> float | None:
    """Return the Gini coefficient of how often items are listed: 0.0 if all equally, near 1.0 if few are.

    `size` is the number of items, of which those without a count are listed 0 times. None without places.
    """
    ordered = sorted(counts)
    total = sum(ordered)
    if not total or size <= 0:
        return None
    size = max(size, len(ordered))
    unlisted = size - len(ordered)
    weighted = sum(rank * count for rank, count in enumerate(ordered, start=unlisted + 1))
    return 2 * weighted / (size * total) - (size + 1) / size


def popularity_lift(listed: Mapping[str, int], popularity: Mapping[str, int]) -> float | None:
    """Return by which share the mean popularity of listed items exceeds that of items in interactions.

    0.0: lists are as popular as what people choose; 1.0: twice as popular; negative: less popular.
    `listed` counts places and `popularity` interactions, by item. None without places or interactions.
    """
    places, interactions = listed.values(), popularity.values()
    if not sum(places) or not sum(interactions):
        return None
    chosen = sum(count * count for count in interactions) / sum(interactions)
    offered = sum(count * popularity.get(item, 0) for item, count in listed.items()) / sum(places)
    return offered / chosen - 1


@dataclass
class ListStatistics:
    """Sums over the lists of one recipe, each with the list that the same id had before, if it had one."""

    lists: int = 0
    empty: int = 0
    compared: int = 0
    changed: int = 0
    overlap: float = 0.0
    listed: Counter[str] = field(default_factory=Counter)

    def add(self, items: Sequence[str], before: Sequence[str] | None) -> None:
        """Count a list; `before` is None for an id without an earlier list."""
        self.lists += 1
        self.empty += not items
        self.listed.update(items)
        if before is not None:
            self.compared += 1
            self.changed += items != before
            self.overlap += average_overlap(items, before)


@dataclass(frozen=True, slots=True)
class ListQuality:
    """The quality of the lists of one recipe in a generation; shares are from 0 to 1, None if unknown."""

    lists: int
    empty: int
    listed_items: int
    catalogue_items: int
    gini: float | None
    popularity_lift: float | None
    compared: int
    changed_share: float | None
    rank_overlap: float | None

    @classmethod
    def of(
        cls, statistics: ListStatistics, catalogue: frozenset[str], popularity: Mapping[str, int]
    ) -> ListQuality:
        """Return the quality; without a catalogue, items with interactions or in lists stand for it."""
        items = catalogue or frozenset(popularity).union(statistics.listed)
        compared = statistics.compared
        return cls(
            lists=statistics.lists,
            empty=statistics.empty,
            listed_items=len(statistics.listed),
            catalogue_items=len(items),
            gini=gini(statistics.listed.values(), len(items)),
            popularity_lift=popularity_lift(statistics.listed, popularity),
            compared=compared,
            changed_share=statistics.changed / compared if compared else None,
            rank_overlap=statistics.overlap / compared if compared else None,
        )
