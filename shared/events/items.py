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
    """What a PutItems call says of an item.

    With `columns` it is the item's whole record in the Items dataset, which replaces the record before it:
    `columns` are the cells that no field of the shop's state holds, `fields` values of such fields by their
    names. Without, as older puts are, `fields` are properties in their sender's spelling, merged one by one.
    """

    item_id: Name
    fields: Document
    columns: Document | None = None

    @property
    def key(self) -> str:
        """`tenant:item`."""
        return f"{self.tenant}:{self.item_id}"
