"""Leaves out interactions of users whose deletion was requested."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

# The stubs of pyarrow lose the type of most computed columns.
Arrow = Any


def without_erased(interactions: Arrow, erased: Mapping[str, int]) -> Arrow:
    """Return a table or batch without the rows of deleted users up to the second of their deletion."""
    if not erased:
        return interactions
    until = pa.array(list(erased.values()), pa.int64())
    positions: Arrow = pc.index_in(interactions["USER_ID"], value_set=pa.array(list(erased), pa.string()))
    later: Arrow = pc.greater(interactions["TIMESTAMP"], pc.take(until, positions))
    return interactions.filter(pc.or_kleene(pc.is_null(positions), later))
