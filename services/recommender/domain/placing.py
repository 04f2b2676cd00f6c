"""Lists as they are answered: promoted items at their places, popular ones where a filter leaves too few."""

from __future__ import annotations

import random
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

PROMOTED = ("Promoted item",)
EXPLORED = ("Exploration",)
POPULAR_INSTEAD = ("Popular item",)


@dataclass(frozen=True, slots=True)
class Pick:
    """One item of an answer, and why it is there if that is not its score alone."""

    item: str
    score: float | None = None
    promotion: str | None = None
    reason: tuple[str, ...] | None = None


def slots(wanted: int, percent: int) -> int:
    """How many of a list's places a promotion may take: the share, rounded to the nearest, a half up."""
    return (wanted * percent + 50) // 100


def placed(
    promoted: Sequence[Pick], others: Iterable[Pick], wanted: int, chance: random.Random
) -> list[Pick]:
    """The promoted picks at random places among the others; both kinds keep their own order."""
    ahead = {pick.item for pick in promoted}
    rest = [pick for pick in others if pick.item not in ahead][: wanted - len(promoted)]
    total = len(promoted) + len(rest)
    theirs = set(chance.sample(range(total), len(promoted)))
    first, second = iter(promoted), iter(rest)
    return [next(first) if place in theirs else next(second) for place in range(total)]
