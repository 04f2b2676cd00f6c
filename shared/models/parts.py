"""Parts: what a user's scores are mixed from."""

from __future__ import annotations

from dataclasses import dataclass

from shared.models.diffusion import Tastes, Walks
from shared.models.neighbours import Neighbours, Unit
from shared.models.peers import Peers

Table = Neighbours | Peers | Walks | Tastes

TABLES: dict[str, type[Table]] = {table.kind: table for table in (Neighbours, Peers, Walks, Tastes)}
"""By the name under which a model folder keeps them."""


@dataclass(frozen=True)
class Part:
    """One ingredient of a user's scores: a table, and how an event's say fades.

    An event that lies `age` units back counts `decay ** age`. The unit is the event itself, the
    second (events of one moment share their age), or the day (a basket shares its age). An event's
    weights are divided by their sum, so `weight` is the part's share whatever the history's length.
    """

    name: str
    table: Table
    weight: float = 1.0
    decay: float = 1.0
    unit: Unit = "event"
