"""What items look like in an answer, and which of them must not be shown.

An item is kept as the bytes that an answer needs of it, so that a list is decorated by joining bytes.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from itertools import islice

import orjson

MOST_SEEN = 10_000

Listed = list[tuple[str, float | None]]
"""(item id, score), best first."""


class Catalogue:
    """The items of one tenant.

    An item that is not available, or was deleted, is withheld. One that nobody ever described is shown
    by its id alone: tenants may train on items that they tell Endcap nothing about.
    """

    def __init__(self) -> None:
        """No items are known yet."""
        # None stands for an item that is withheld.
        self._cards: dict[str, bytes | None] = {}
        self._as_of: dict[str, datetime] = {}
        self._facts: dict[str, bytes] = {}
        self.version = 0
        """Grows with every change of what is known of items."""

    def __len__(self) -> int:
        """How many items are known, those withheld included."""
        return len(self._cards)

    def put(
        self,
        item_id: str,
        name: str | None,
        price: float | None,
        *,
        available: bool,
        as_of: datetime,
        facts: bytes = b"",
    ) -> None:
        """Take an item's state, unless a newer one is known. `facts` are what filters may ask of it."""
        if as_of < self._as_of.get(item_id, as_of):
            return
        self._as_of[item_id] = as_of
        self._cards[item_id] = _card(item_id, name, price) if available else None
        if facts != self._facts.get(item_id, b""):
            self._facts[item_id] = facts
            self.version += 1

    def remove(self, item_id: str) -> None:
        """The item is gone: lists that still name it are shown without it."""
        self._cards[item_id] = None
        self._as_of.pop(item_id, None)
        if self._facts.pop(item_id, None):
            self.version += 1

    def facts(self, item_id: str) -> bytes:
        """What the shop says of an item, packed; none for one that it never described."""
        return self._facts.get(item_id, b"")

    def keep_only(self, item_ids: Iterable[str]) -> None:
        """Withhold whatever is not among these: they were read as the whole catalogue."""
        for gone in self._cards.keys() - set(item_ids):
            self.remove(gone)

    def withheld(self, item_id: str) -> bool:
        """Whether the item must not be shown."""
        return self._cards.get(item_id, b"") is None

    def entries(self, listed: Listed, bought: set[str], limit: int) -> list[bytes]:
        """The first `limit` items that may be shown and were not bought, as JSON objects."""
        cards, chosen = self._cards, []
        for item, score in listed:
            if item in bought:
                continue
            try:
                card = cards[item]
            except KeyError:
                card = _card(item, None, None)
            if card is not None:
                chosen.append(b"%b%b}" % (card, b"null" if score is None else b"%r" % score))
                if len(chosen) == limit:
                    break
        return chosen

    def others(self, left_out: set[str], limit: int) -> list[bytes]:
        """Some more items that may be shown, as entries without a score; not all of a large catalogue."""
        seen = islice(self._cards.items(), MOST_SEEN)
        return list(islice((card + b"null}" for item, card in seen if card and item not in left_out), limit))

    def allowed(self, listed: Listed, bought: set[str], limit: int) -> Listed:
        """The same choice, undecorated."""
        kept = [(item, score) for item, score in listed if item not in bought and not self.withheld(item)]
        return kept[:limit]


def _card(item_id: str, name: str | None, price: float | None) -> bytes:
    """The object of an item up to its score, which differs from list to list."""
    described = orjson.dumps({"product_id": item_id, "product_name": name, "price": price})
    return described[:-1] + b',"score":'


def body(subject: bytes, entries: list[bytes], source: bytes, generation: int | None) -> bytes:
    """A whole answer; `subject` is the JSON of who or what was asked for, without its braces."""
    return b'{%b,"recommendations":[%b],"source":"%b","generation":%b}' % (
        subject,
        b",".join(entries),
        source,
        b"null" if generation is None else b"%d" % generation,
    )
