"""What items look like in an answer, and which of them must not be shown.

An item is kept as the bytes that an answer needs of it, so that a list is decorated by joining bytes, and
as the bytes that filters need. Nothing else of its state stays in memory.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from functools import lru_cache
from itertools import islice
from struct import Struct
from typing import Protocol

import orjson

from services.recommender.domain.facts import Value
from services.recommender.domain.shapes import Shapes

MOST_SEEN = 10_000
MOST_REMOVED = 100_000
"""Removed items of a tenant that lists are shown without, the newest. Arbitrary: lists are made daily."""
LONG_BYTES = 512
"""Facts beyond this are kept outside memory. Twice what the items of ordinary shops have."""
REBUILD_AT = 1_000
"""Fewer removals than this leave no room worth giving back."""
ENTRY_BYTES = 250
"""What Python needs per item beside the bytes that are kept: its id, entries of two dicts, heads of objects.
Measured with a million items."""

Listed = list[tuple[str, float | None]]
"""(item id, score), best first."""

_HEAD = Struct(">qB")
"""When the shop said it (µs since 1970), and whether the facts are kept elsewhere."""
_ELSEWHERE = Struct(">QL")
"""Where they are kept, and how many bytes they have."""


class LongFacts(Protocol):
    """Where facts are kept that are too long for memory."""

    held_bytes: int
    """Bytes of all that is kept."""

    def put(self, content: bytes) -> int | None:
        """Return where the content is kept; None when there is no room for it."""

    def get(self, offset: int, length: int) -> bytes:
        """Return what is kept there."""

    def drop(self, offset: int, length: int) -> None:
        """Give the room back."""


class Catalogue:
    """The items of one tenant.

    An item that is not available, or was deleted, is withheld. One that nobody ever described is shown
    by its id alone: tenants may train on items that they tell Endcap nothing about.
    """

    def __init__(self, long_facts: LongFacts | None = None) -> None:
        """No items are known yet. Without `long_facts` all facts stay in memory."""
        # None stands for an item that is withheld.
        self._cards: dict[str, bytes | None] = {}
        self._records: dict[str, bytes] = {}
        self._removed: dict[str, None] = {}
        self._shapes = Shapes()
        self._long_facts = long_facts
        self._removals = 0
        self._kept_bytes = 0
        self.version = 0
        """Grows with every change of what is known of items."""

    def __len__(self) -> int:
        """How many items are known, those that are not available included."""
        return len(self._records)

    @property
    def memory_bytes(self) -> int:
        """Return roughly how much memory the items take."""
        return self._kept_bytes + ENTRY_BYTES * len(self._records)

    def put(
        self,
        item_id: str,
        name: str | None,
        price: float | None,
        *,
        available: bool,
        as_of: datetime,
        facts: Mapping[str, Value] | None = None,
    ) -> None:
        """Take an item's state, unless a newer one is known. `facts` are what filters may ask of it."""
        microseconds = round(as_of.timestamp() * 1e6)
        before = self._records.get(item_id)
        if before is not None and microseconds < _HEAD.unpack_from(before)[0]:
            return
        self._removed.pop(item_id, None)
        card = _card(item_id, name, price) if available else None
        packed = self._shapes.pack(facts or {})
        if packed != (self._packed(before) if before else b""):
            self.version += 1
        if before is not None:
            self._forget(item_id, before)
        self._keep(item_id, card, self._record(microseconds, packed))

    def remove(self, item_id: str) -> None:
        """The item is gone: lists that still name it are shown without it."""
        before = self._records.pop(item_id, None)
        if before is not None:
            self._forget(item_id, before)
            self._removals += 1
            self.version += 1
        self._cards[item_id] = None
        self._removed.pop(item_id, None)
        self._removed[item_id] = None
        if len(self._removed) > MOST_REMOVED:
            oldest = next(iter(self._removed))
            del self._removed[oldest], self._cards[oldest]
        if self._removals > max(REBUILD_AT, len(self._records)):
            self._compact()

    def mark(self, item_id: str) -> bytes:
        """Return an object that is another one after each change of the item."""
        return self._records.get(item_id, b"")

    def facts(self, item_id: str) -> dict[str, Value]:
        """Return what the shop says of an item, by the keys of `domain.facts`; {} for an unknown one."""
        record = self._records.get(item_id)
        if record is None:
            return {}
        return self._shapes.unpack(self._packed(record))

    def fact(self, item_id: str, keys: tuple[str, ...]) -> Value | None:
        """Return the fact of an item that is kept under the first of the keys; None where none is."""
        record = self._records.get(item_id)
        if record is None:
            return None
        return self._shapes.value(self._packed(record), keys)

    def keep_only(self, is_there: Callable[[str], bool]) -> None:
        """Withhold whatever is not there: `is_there` was read as the whole catalogue."""
        for gone in [item for item in self._records if not is_there(item)]:
            self.remove(gone)

    def withheld(self, item_id: str) -> bool:
        """Whether the item must not be shown."""
        return self._cards.get(item_id, b"") is None

    def entries(self, listed: Listed, bought: set[str], limit: int, algorithm: str) -> list[bytes]:
        """The first `limit` items that may be shown and were not bought, as JSON objects."""
        cards, chosen, end = self._cards, [], _end(algorithm)
        for item, score in listed:
            if item in bought:
                continue
            try:
                card = cards[item]
            except KeyError:
                card = _card(item, None, None)
            if card is not None:
                chosen.append(b"%b%b%b" % (card, b"null" if score is None else b"%r" % score, end))
                if len(chosen) == limit:
                    break
        return chosen

    def others(self, left_out: set[str], limit: int) -> list[bytes]:
        """Some more items that may be shown, as entries without a score; not all of a large catalogue."""
        seen = islice(self._cards.items(), MOST_SEEN)
        end = b"null" + _end(None)
        return list(islice((card + end for item, card in seen if card and item not in left_out), limit))

    def allowed(self, listed: Listed, bought: set[str], limit: int) -> Listed:
        """The same choice, undecorated."""
        kept = [(item, score) for item, score in listed if item not in bought and not self.withheld(item)]
        return kept[:limit]

    def _compact(self) -> None:
        """Give memory back after many removals, which neither a dict nor the allocator does by itself.

        Python returns memory by the megabyte, and what stays lies among what went: copies lie together.
        """
        cards, records = self._cards, self._records
        self._cards, self._records = {}, {}
        for item_id, record in records.items():
            card, moved = cards[item_id], _moved(item_id)
            self._cards[moved] = None if card is None else bytes(memoryview(card))
            self._records[moved] = bytes(memoryview(record))
        self._removed = dict.fromkeys(map(_moved, self._removed))
        self._cards |= self._removed
        self._removals = 0

    def _keep(self, item_id: str, card: bytes | None, record: bytes) -> None:
        self._cards[item_id] = card
        self._records[item_id] = record
        self._kept_bytes += len(card or b"") + len(record)

    def _forget(self, item_id: str, record: bytes) -> None:
        """Give back what an item's state takes; its entries stay."""
        self._kept_bytes -= len(self._cards[item_id] or b"") + len(record)
        if self._long_facts is not None and _HEAD.unpack_from(record)[1]:
            self._long_facts.drop(*_ELSEWHERE.unpack_from(record, _HEAD.size))

    def _record(self, microseconds: int, packed: bytes) -> bytes:
        if len(packed) > LONG_BYTES and self._long_facts is not None:
            offset = self._long_facts.put(packed)
            if offset is not None:
                return _HEAD.pack(microseconds, 1) + _ELSEWHERE.pack(offset, len(packed))
        return _HEAD.pack(microseconds, 0) + packed

    def _packed(self, record: bytes) -> bytes:
        if self._long_facts is not None and _HEAD.unpack_from(record)[1]:
            return self._long_facts.get(*_ELSEWHERE.unpack_from(record, _HEAD.size))
        return record[_HEAD.size :]


def _moved(text: str) -> str:
    """Return an equal string in another place."""
    return (text + " ")[:-1]


def _card(item_id: str, name: str | None, price: float | None) -> bytes:
    """The object of an item up to its score, which differs from list to list."""
    described = orjson.dumps({"product_id": item_id, "product_name": name, "price": price})
    return described[:-1] + b',"score":'


@lru_cache(maxsize=1024)
def _end(algorithm: str | None) -> bytes:
    """Return the end of an item's object, which says which recipe chose it."""
    return b',"algorithm":%b}' % orjson.dumps(algorithm)


def body(subject: bytes, entries: list[bytes], source: bytes, generation: int | None) -> bytes:
    """A whole answer; `subject` is the JSON of who or what was asked for, without its braces."""
    return b'{%b,"recommendations":[%b],"count":%d,"source":"%b","generation":%b}' % (
        subject,
        b",".join(entries),
        len(entries),
        source,
        b"null" if generation is None else b"%d" % generation,
    )
