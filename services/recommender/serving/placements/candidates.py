"""Candidates of a placement: proposed items with their reasons, and dropped ones with the step."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import compress
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple, Protocol

if TYPE_CHECKING:
    from services.recommender.serving.assignments import Assignment
    from services.recommender.serving.placements.request import PlacementRequest, Visitor
    from services.recommender.serving.placements.shadows import Shadows
    from services.recommender.store.list_batches import ListKey
    from shared.events.placements import Placement, StrategyUse


class Signal(NamedTuple):
    """A reason for an item: its name, its weight where it has one, and the item that it came from.

    Names: `model`, `list`, `viewed`, `in_cart`, `bought_with`, `bought_before`, `popular_in`, `trending`,
    `new`, `fixed`, `pinned`, `boosted`, `promoted`, `override`.
    """

    name: str
    weight: float | None = None
    item_id: str | None = None
    detail: str | None = None
    """Such as the category or city of `popular_in`."""


@dataclass(slots=True)
class Candidate:
    """A proposed item: the strategy that proposed it first, its score there, and its signals."""

    item_id: str
    strategy: str
    score: float | None = None
    signals: list[Signal] = field(default_factory=list)
    algorithm: str | None = None
    """The recipe that chose the item, as other answers name it; None if there is none."""


class Dropped(NamedTuple):
    """A candidate that a step left out."""

    item_id: str
    strategy: str
    step: str
    detail: str | None = None


@dataclass(slots=True)
class Proposal:
    """The items that a strategy proposes, best first, and their source."""

    candidates: Sequence[Candidate] = ()
    source: bytes = b""
    """`redis`, `postgres`, `popular`, `model`, `history`, `catalogue`, `fixed`, `overrides`; or empty."""
    generation: int | None = None
    model_sha256: str | None = None


class Strategy(Protocol):
    """Proposes items; it neither filters nor excludes, except items that cannot be sold."""

    name: ClassVar[str]
    repeats: ClassVar[frozenset[str]]
    """The exclusions of a placement that do not apply to its items: `purchased`, `viewed`."""

    def list_keys(self, use: StrategyUse, request: PlacementRequest) -> Sequence[ListKey]:
        """Return the lists that it reads whatever the visitor's history says: they are read with it."""
        ...

    async def propose(
        self, use: StrategyUse, request: PlacementRequest, visitor: Visitor, count: int
    ) -> Proposal:
        """Return about `count` items, best first; fewer, or none, if it has no more."""
        ...


@dataclass(slots=True)
class PlacementAnswer:
    """The items of an answer in order, and how they came about."""

    request: PlacementRequest
    placement: Placement
    revision: int | None
    items: list[Candidate]
    dropped: list[Dropped]
    source: bytes
    generation: int | None = None
    model_sha256: str | None = None
    history_events: int = 0
    newest_event_seconds: float | None = None
    facts: dict[str, Any] = field(default_factory=dict)
    assignment: Assignment | None = None
    """The variant by which the placement answered, if the visitor takes part in an experiment."""
    picked_by: tuple[str, ...] = ()
    """The variant that picked each item of an interleaved answer."""
    shadows: Shadows | None = None
    """The variants that answer the same request as well, unseen."""
    seconds: float = 0.0
    """The time that the answer took; only measured in experiments."""

    @property
    def is_fallback(self) -> bool:
        """Return whether no item is of the first strategy of the placement; False for several variants."""
        strategies = self.placement.strategies
        if not strategies or self.picked_by:
            return False
        first = strategies[0].strategy
        return all(item.strategy != first for item in self.items)

    def remove(self, is_removed: Callable[[str], bool]) -> None:
        """Remove the items of which `is_removed` returns True."""
        kept = [not is_removed(item.item_id) for item in self.items]
        if not all(kept):
            self.items = [*compress(self.items, kept)]
            self.picked_by = tuple(compress(self.picked_by, kept))
