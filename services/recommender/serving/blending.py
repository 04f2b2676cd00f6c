"""Blend promoted items into a list."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, TypeVar

if TYPE_CHECKING:
    import random
    from collections.abc import Iterable, Sequence


class RecommendedItem(Protocol):
    """An item of a list."""

    @property
    def item_id(self) -> str:
        """Return the id of the item."""


Item = TypeVar("Item", bound=RecommendedItem)


def promoted_count(limit: int, percent: int) -> int:
    """Return how many of `limit` items may be promoted ones: the share, rounded half up."""
    return (limit * percent + 50) // 100


def blend(promoted: Sequence[Item], organic: Iterable[Item], limit: int, rng: random.Random) -> list[Item]:
    """Return the promoted items at random positions among the organic ones; both keep their own order."""
    promoted_ids = {each.item_id for each in promoted}
    organic = [each for each in organic if each.item_id not in promoted_ids][: limit - len(promoted)]
    total = len(promoted) + len(organic)
    positions = set(rng.sample(range(total), len(promoted)))
    next_promoted, next_organic = iter(promoted), iter(organic)
    return [next(next_promoted) if index in positions else next(next_organic) for index in range(total)]
