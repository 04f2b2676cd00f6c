"""Former names of services.engine.training.methods.transitions."""

from collections.abc import Iterable

from scipy import sparse

from services.engine.training.methods.transitions import (
    REACH,
    events_per_chunk,
    normalized,
    transition_counts,
    two_steps,
)
from shared.models.histories import WeightedEvents

at_once = events_per_chunk
both_ways = normalized

__all__ = ["REACH", "at_once", "both_ways", "followers", "two_steps"]


def followers(
    chunks: Iterable[WeightedEvents], count: int, *, fade: float, backward: float, reach: int, arrive: float
) -> sparse.csr_array:
    """Return transition counts by their former name."""
    return transition_counts(chunks, count, decay=fade, backward=backward, reach=reach, target_norm=arrive)
