"""The components of a user's scores."""

from __future__ import annotations

from dataclasses import dataclass

from shared.models.graph_filters import LatentFactors, TwoStepWalk
from shared.models.nearest_profiles import NearestProfiles
from shared.models.neighbours import Neighbours, Unit

Table = Neighbours | NearestProfiles | TwoStepWalk | LatentFactors

TABLES: dict[str, type[Table]] = {
    table.kind: table for table in (Neighbours, NearestProfiles, TwoStepWalk, LatentFactors)
}
"""The kinds of tables by the name that meta.json has for them."""


@dataclass(frozen=True)
class ScoringComponent:
    """One summand of a user's scores: a table, and how events decay with age.

    An event of age a has the weight `decay ** a`. Age is counted in units before the user's newest event: in
    events, in seconds (events of one second have the same age) or in days (so do the items of a basket). The
    weights of a user's events are divided by their sum, so `weight` does not depend on the history's length.
    """

    name: str
    table: Table
    weight: float = 1.0
    decay: float = 1.0
    unit: Unit = "event"
