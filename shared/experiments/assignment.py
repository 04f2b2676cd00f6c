"""Assignment of units to variants: pure, so no state can be lost and no unit ever changes its variant.

Hashes with different labels make independent decisions: to which segment of a layer a unit belongs, whether
it takes part, and which variant it gets. Each divides a line of a million buckets into half-open ranges;
those of the traffic begin at 0, so raising it only adds units. (PlanOut, GrowthBook and Statsig do the same
with other hashes.)
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from functools import lru_cache
from hashlib import sha256
from itertools import accumulate

BUCKETS = 1_000_000


def bucket(salt: str, label: str, unit: str) -> int:
    """Return a number from 0 to BUCKETS - 1 that depends on the three texts alone.

    It is the first eight bytes of a SHA-256 modulo BUCKETS, which favours no bucket by more than 1 in 10^13.
    """
    digest = sha256(f"{salt}\0{label}\0{unit}".encode()).digest()
    return int.from_bytes(digest[:8]) % BUCKETS


def is_eligible(salt: str, unit: str, traffic: float) -> bool:
    """Return whether the unit is within the share of traffic, from 0 to 1."""
    return bucket(salt, "traffic", unit) < round(traffic * BUCKETS)


def is_compared(salt: str, unit: str, share: float) -> bool:
    """Return whether the unit is within a share, from 0 to 1, that depends on no other number of the unit."""
    return bucket(salt, "trigger", unit) < round(share * BUCKETS)


def in_segment(layer: str, unit: str, start: float, end: float) -> bool:
    """Return whether the unit is in a segment of a layer, from `start` up to and without `end`, both 0 to 1.

    All experiments of a layer share this number, so those with disjoint segments never have a common unit.
    """
    return round(start * BUCKETS) <= bucket(layer, "layer", unit) < round(end * BUCKETS)


@lru_cache(maxsize=1_024)
def window_index(salt: str, window: int, count: int) -> int:
    """Return the index of the variant of a window of time.

    Each block of `count` windows has every variant once, in an order that the salt draws: so the variants get
    the same number of windows, and no hour of the day is always the same one's.
    """
    block, place = divmod(window, count)
    keys = [sha256(f"{salt}\0window\0{block}\0{index}".encode()).digest() for index in range(count)]
    return sorted(range(count), key=keys.__getitem__)[place]


def range_ends(weights: Sequence[float]) -> tuple[int, ...]:
    """Return the end of each variant's range of buckets; the last one ends at BUCKETS."""
    total = sum(weights)
    return tuple(round(cumulative / total * BUCKETS) for cumulative in accumulate(weights))


def variant_index(salt: str, unit: str, ends: Sequence[int]) -> int:
    """Return the index of the variant whose range contains the unit's bucket."""
    return bisect_right(ends, bucket(salt, "variant", unit))
