"""From a unit to its variant: pure, so that no state can be lost and nobody ever moves.

Two hashes with different labels decide independently of each other: whether a unit takes part at all, and
which variant it gets. Both cut a line of a million buckets into half-open ranges that begin at 0, so raising
the traffic only adds units. (PlanOut, GrowthBook and Statsig do the same with other hashes.)
"""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import sha256
from itertools import accumulate

BUCKETS = 1_000_000


def bucket(salt: str, label: str, unit: str) -> int:
    """A number from 0 up to BUCKETS, the same for ever for the same three texts.

    The first eight bytes of SHA-256; reducing them favours no bucket by more than 1 in 10^13.
    """
    digest = sha256(f"{salt}\0{label}\0{unit}".encode()).digest()
    return int.from_bytes(digest[:8]) % BUCKETS


def is_eligible(salt: str, unit: str, traffic: float) -> bool:
    """Whether the unit is within the share of traffic."""
    return bucket(salt, "traffic", unit) < round(traffic * BUCKETS)


def ends(weights: Sequence[float]) -> tuple[int, ...]:
    """Where each variant's range of buckets ends; the last one ends at BUCKETS."""
    total = sum(weights)
    return tuple(round(so_far / total * BUCKETS) for so_far in accumulate(weights))


def chosen(salt: str, unit: str, range_ends: Sequence[int]) -> int:
    """The number of the variant whose range the unit is in."""
    at = bucket(salt, "variant", unit)
    return next(number for number, end in enumerate(range_ends) if at < end)
