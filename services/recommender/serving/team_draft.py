"""Team-draft interleaving: one list from the lists of several variants, and who picked each item.

Radlinski, Kurup, Joachims: How Does Clickthrough Data Reflect Retrieval Quality?, CIKM 2008; for more than
two lists Schuth, Sietsma, Whiteson, Lefortier, de Rijke: Multileaved Comparisons for Fast Online Evaluation,
CIKM 2014.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Sequence
from hashlib import sha256
from typing import Final, NamedTuple

SEED_SECONDS: Final = 3_600
"""An equal request gets the same picks for so long, so that a page that is loaded again looks the same.
Arbitrary."""


class Pick(NamedTuple):
    """An item of the list: the number of the variant that picked it, and its place in that variant's list."""

    variant: int
    place: int


def draft_seed(salt: str, unit: str, request: str, seconds: float) -> bytes:
    """Return the seed of a request: a digest of the experiment's salt, the unit, the request and the hour."""
    hour = int(seconds // SEED_SECONDS)
    return sha256(f"{salt}\0draft\0{unit}\0{request}\0{hour}".encode()).digest()


def team_draft(rankings: Sequence[Sequence[Hashable]], limit: int, seed: bytes) -> list[Pick]:
    """Return up to `limit` picks from rankings of items, best first; the same for the same seed.

    In each round every variant picks its best item that is not there yet, in an order that is drawn anew. A
    variant without another item is left out, so that a short list does not end the draft. In a round that the
    limit cuts off, each variant is as likely as the others to be among the first.
    """
    draws = _Draws(seed)
    picks: list[Pick] = []
    picked: set[Hashable] = set()
    places = [0] * len(rankings)
    variants = list(range(len(rankings)))
    while len(picks) < limit and variants:
        left = []
        for variant in draws.shuffled(variants):
            ranking, place = rankings[variant], places[variant]
            while place < len(ranking) and ranking[place] in picked:
                place += 1
            places[variant] = place
            if place == len(ranking):
                continue
            left.append(variant)
            if len(picks) < limit:
                picked.add(ranking[place])
                picks.append(Pick(variant, place))
        variants = sorted(left)
    return picks


class _Draws:
    """Random orders from a digest of 256 bits, which is hashed again when its bits are used up."""

    def __init__(self, seed: bytes) -> None:
        self._seed = seed
        self._number = int.from_bytes(seed)
        self._range: int = 1 << 256

    def shuffled(self, variants: list[int]) -> list[int]:
        """Return the variants in an order of which each is equally likely, up to 2^-128."""
        orders = math.factorial(len(variants))
        if self._range >> 128 < orders:
            self._seed = sha256(self._seed).digest()
            self._number, self._range = int.from_bytes(self._seed), 1 << 256
        self._number, order = divmod(self._number, orders)
        self._range //= orders
        rest, shuffled = list(variants), []
        for count in range(len(rest), 0, -1):
            order, index = divmod(order, count)
            shuffled.append(rest.pop(index))
        return shuffled
