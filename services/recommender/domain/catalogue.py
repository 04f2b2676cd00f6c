"""The items of one tenant: what answers show of them, what filters read of them, and which are withdrawn.

An item is stored as the bytes that an answer needs, so that a list is encoded by joining bytes, and as the
encoded properties that filters need. Nothing else of its state stays in memory.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Collection, Iterable, Mapping
from datetime import datetime
from functools import lru_cache
from itertools import islice
from struct import Struct
from typing import Protocol

import orjson

from services.recommender.domain.properties import PropertyValue
from services.recommender.domain.property_codec import PropertyCodec

MAX_SCANNED_ITEMS = 10_000
MAX_REMOVED_ITEMS = 100_000
"""Removed items of a tenant that are left out of lists, the newest. Arbitrary: lists are made daily."""
MAX_INLINE_BYTES = 512
"""Longer properties are stored outside memory. Twice what the items of ordinary shops have."""
COMPACT_AFTER_REMOVALS = 1_000
"""Fewer removals free too little memory to be worth a compaction."""
ENTRY_BYTES = 250
"""Memory per item beside the stored bytes: its id, entries of two dicts, object headers.
Measured with a million items."""

ItemScores = list[tuple[str, float | None]]
"""(item id, score), best first."""

_RECORD_HEAD = Struct(">qB")
"""The time of the item's state (µs since the epoch), and whether the properties are in the spill storage."""
_SPILL_REFERENCE = Struct(">QL")
"""Offset and length (bytes) in the spill storage."""


class SpillStorage(Protocol):
    """Storage outside memory for long properties."""

    held_bytes: int
    """Bytes of all that is stored."""

    def put(self, content: bytes) -> int | None:
        """Store the content and return its offset; None if there is no space for it."""

    def get(self, offset: int, length: int) -> bytes:
        """Return the content stored at an offset."""

    def drop(self, offset: int, length: int) -> None:
        """Free the space of a content."""


class Catalogue:
    """The items of one tenant.

    An item that is not available, or was deleted, is withdrawn. An item that was never described is shown by
    its id alone: a tenant may train on items without sending their data.
    """

    def __init__(self, spill: SpillStorage | None = None) -> None:
        """Start empty. Without `spill` all properties stay in memory."""
        # The start of each item's JSON object, up to its score; None for a withdrawn item.
        self._prefixes: dict[str, bytes | None] = {}
        self._records: dict[str, bytes] = {}
        self._removed: dict[str, None] = {}
        self._codec = PropertyCodec()
        self._spill = spill
        self._removals = 0
        self._stored_bytes = 0
        self.version = 0
        """Increases with every change of the properties of an item."""
        self.changed_items: set[str] | None = None
        """Items that changed since an index last took them; None while nothing takes them."""

    def __len__(self) -> int:
        """Return the number of known items, unavailable ones included."""
        return len(self._records)

    @property
    def memory_bytes(self) -> int:
        """Return an estimate of the memory that the items take."""
        return self._stored_bytes + ENTRY_BYTES * len(self._records)

    def put(
        self,
        item_id: str,
        name: str | None,
        price: float | None,
        *,
        available: bool,
        as_of: datetime,
        properties: Mapping[str, PropertyValue] | None = None,
    ) -> None:
        """Store the state of an item, unless a newer one is known. `properties` are what filters read."""
        microseconds = round(as_of.timestamp() * 1e6)
        before = self._records.get(item_id)
        if before is not None and microseconds < _RECORD_HEAD.unpack_from(before)[0]:
            return
        self._removed.pop(item_id, None)
        self._mark_changed(item_id)
        prefix = _json_prefix(item_id, name, price) if available else None
        encoded = self._codec.encode(properties or {})
        if encoded != (self._encoded_properties(before) if before else b""):
            self.version += 1
        if before is not None:
            self._release(item_id, before)
        self._store(item_id, prefix, self._record(microseconds, encoded))

    def remove(self, item_id: str) -> None:
        """Remove an item, and remember that it is withdrawn: lists may still name it."""
        before = self._records.pop(item_id, None)
        self._mark_changed(item_id)
        if before is not None:
            self._release(item_id, before)
            self._removals += 1
            self.version += 1
        self._prefixes[item_id] = None
        self._removed.pop(item_id, None)
        self._removed[item_id] = None
        if len(self._removed) > MAX_REMOVED_ITEMS:
            oldest = next(iter(self._removed))
            del self._removed[oldest], self._prefixes[oldest]
        if self._removals > max(COMPACT_AFTER_REMOVALS, len(self._records)):
            self._compact()

    def state_token(self, item_id: str) -> bytes:
        """Return an object whose identity changes with the state of the item; empty for an unknown one."""
        return self._records.get(item_id, b"")

    def properties(self, item_id: str) -> dict[str, PropertyValue]:
        """Return the properties of an item by the keys of `domain.properties`; {} for an unknown item."""
        record = self._records.get(item_id)
        if record is None:
            return {}
        return self._codec.decode(self._encoded_properties(record))

    def property_value(self, item_id: str, keys: tuple[str, ...]) -> PropertyValue | None:
        """Return the property of an item under the first of the keys that it has; None if it has none."""
        record = self._records.get(item_id)
        if record is None:
            return None
        return self._codec.value(self._encoded_properties(record), keys)

    def retain(self, exists: Callable[[str], bool]) -> None:
        """Remove the items for which `exists` is false, after a read of the whole catalogue."""
        for item_id in [item_id for item_id in self._records if not exists(item_id)]:
            self.remove(item_id)

    @property
    def item_ids(self) -> list[str]:
        """Return the ids of all known items, unavailable ones included."""
        return list(self._records)

    def is_withdrawn(self, item_id: str) -> bool:
        """Return whether the item must not be shown."""
        return self._prefixes.get(item_id, b"") is None

    def visible(self, scores: ItemScores, excluded: set[str], limit: int) -> ItemScores:
        """Return the first `limit` items that are neither withdrawn nor excluded."""
        prefixes, visible = self._prefixes, []
        for entry in scores if limit > 0 else ():
            item = entry[0]
            if item not in excluded and prefixes.get(item, b"") is not None:
                visible.append(entry)
                if len(visible) == limit:
                    break
        return visible

    def encode(self, scores: ItemScores, excluded: set[str], limit: int, algorithm: str) -> list[bytes]:
        """Return the same selection as `visible`, each item as a JSON object with its score and algorithm."""
        prefixes, suffix, dumps = self._prefixes, _json_suffix(algorithm), orjson.dumps
        if not excluded and len(scores) >= limit:
            with contextlib.suppress(KeyError, TypeError):
                # The usual case in two thirds of the time; an item that is not known or not for sale raises
                # an error.
                return [prefixes[item] + dumps(score) + suffix for item, score in scores[:limit]]  # type: ignore[operator] # see above
        encoded = []
        for item, score in scores:
            if item in excluded:
                continue
            try:
                prefix = prefixes[item]
            except KeyError:
                prefix = _json_prefix(item, None, None)
            if prefix is not None:
                encoded.append(prefix + dumps(score) + suffix)
                if len(encoded) == limit:
                    break
        return encoded

    def encode_any(self, excluded: set[str], limit: int) -> list[bytes]:
        """Return up to `limit` visible items without a score as JSON objects.

        Only the first items of a large catalogue are looked at.
        """
        scanned = islice(self._prefixes.items(), MAX_SCANNED_ITEMS)
        suffix = b"null" + _json_suffix(None)
        return list(
            islice((prefix + suffix for item, prefix in scanned if prefix and item not in excluded), limit)
        )

    def visible_scores(
        self, scores: Iterable[tuple[str, float | None]], excluded: Collection[str], limit: int
    ) -> ItemScores:
        """Return the first `limit` items that are neither withdrawn nor excluded, without reading further."""
        get = self._prefixes.get
        if isinstance(scores, list):
            first = scores[: max(limit, 0)]
            shown = [each for each in first if get(each[0], b"") is not None and each[0] not in excluded]
            if len(shown) == len(first):
                return shown  # the usual case, in half of the time
        visible: ItemScores = []
        for item_id, score in scores:
            if get(item_id, b"") is None or item_id in excluded:
                continue
            if len(visible) >= limit:
                break
            visible.append((item_id, score))
        return visible

    def encode_rows(self, rows: Iterable[tuple[str, float | None, bytes]]) -> list[bytes]:
        """Return items (item id, score, end of the JSON object) as JSON objects, without withdrawn ones."""
        prefixes, encoded, dumps = self._prefixes, [], orjson.dumps
        for item_id, score, suffix in rows:
            prefix = prefixes.get(item_id, b"")
            if prefix is not None:
                head = prefix or _json_prefix(item_id, None, None)
                encoded.append(head + dumps(score) + suffix)
        return encoded

    def any_items(self, excluded: set[str], limit: int) -> list[str]:
        """Return up to `limit` visible items; only the first items of a large catalogue are looked at."""
        scanned = islice(self._prefixes.items(), MAX_SCANNED_ITEMS)
        return list(islice((item for item, prefix in scanned if prefix and item not in excluded), limit))

    def _mark_changed(self, item_id: str) -> None:
        if self.changed_items is not None:
            self.changed_items.add(item_id)

    def _compact(self) -> None:
        """Return memory to the system after many removals, which neither a dict nor the allocator does.

        Python frees memory by the megabyte, and remaining objects are scattered among removed ones; copies
        lie next to each other.
        """
        prefixes, records = self._prefixes, self._records
        self._prefixes, self._records = {}, {}
        for item_id, record in records.items():
            prefix, copied_id = prefixes[item_id], _copy(item_id)
            self._prefixes[copied_id] = None if prefix is None else bytes(memoryview(prefix))
            self._records[copied_id] = bytes(memoryview(record))
        self._removed = dict.fromkeys(map(_copy, self._removed))
        self._prefixes |= self._removed
        self._removals = 0

    def _store(self, item_id: str, prefix: bytes | None, record: bytes) -> None:
        self._prefixes[item_id] = prefix
        self._records[item_id] = record
        self._stored_bytes += len(prefix or b"") + len(record)

    def _release(self, item_id: str, record: bytes) -> None:
        """Account for the bytes of a state that is replaced, and free its spilled properties."""
        self._stored_bytes -= len(self._prefixes[item_id] or b"") + len(record)
        if self._spill is not None and _RECORD_HEAD.unpack_from(record)[1]:
            self._spill.drop(*_SPILL_REFERENCE.unpack_from(record, _RECORD_HEAD.size))

    def _record(self, microseconds: int, encoded: bytes) -> bytes:
        if len(encoded) > MAX_INLINE_BYTES and self._spill is not None:
            offset = self._spill.put(encoded)
            if offset is not None:
                reference = _SPILL_REFERENCE.pack(offset, len(encoded))
                return _RECORD_HEAD.pack(microseconds, 1) + reference
        return _RECORD_HEAD.pack(microseconds, 0) + encoded

    def _encoded_properties(self, record: bytes) -> bytes:
        if self._spill is not None and _RECORD_HEAD.unpack_from(record)[1]:
            return self._spill.get(*_SPILL_REFERENCE.unpack_from(record, _RECORD_HEAD.size))
        return record[_RECORD_HEAD.size :]


def _copy(text: str) -> str:
    """Return an equal string at another address."""
    return (text + " ")[:-1]


def _json_prefix(item_id: str, name: str | None, price: float | None) -> bytes:
    """Return the JSON object of an item up to its score, which differs from list to list."""
    encoded = orjson.dumps({"product_id": item_id, "product_name": name, "price": price})
    return encoded[:-1] + b',"score":'


@lru_cache(maxsize=1024)
def _json_suffix(algorithm: str | None) -> bytes:
    """Return the end of an item's JSON object, which names the recipe that chose it."""
    return b',"algorithm":%b}' % orjson.dumps(algorithm)
