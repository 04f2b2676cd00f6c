"""The catalogue: what an item is now, and what somebody wants it to be."""

from __future__ import annotations

from shared.events.envelope import Document, Event, Name, Text
from shared.events.values import Finite, Instant


class ItemChanged(Event):
    """The whole state of an item. A tombstone (a record without a value) says that it is gone."""

    item_id: Name
    name: Text | None = None
    category: Text | None = None
    price: Finite | None = None
    currency: Text | None = None
    created_at: Instant | None = None
    available: bool = True
    attributes: Document = {}

    @property
    def key(self) -> str:
        """`tenant:item`."""
        return f"{self.tenant}:{self.item_id}"


class ItemPut(Event):
    """Some fields of an item, as a storefront or a PutItems call sent them."""

    item_id: Name
    fields: Document

    @property
    def key(self) -> str:
        """`tenant:item`."""
        return f"{self.tenant}:{self.item_id}"
