"""The catalogue: the state of each item, and puts that change it."""

from __future__ import annotations

from shared.events.envelope import Document, Event, Name, Text
from shared.events.values import Finite, Instant


class ItemChanged(Event):
    """The whole state of an item. A tombstone (a record without a value) deletes it."""

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
        """Return the Kafka key, `tenant:item`."""
        return f"{self.tenant}:{self.item_id}"


class ItemPut(Event):
    """One item of a PutItems call.

    With `columns` it is the item's whole record in the Items dataset and replaces the previous one: `fields`
    are the fields of the shop's state by name, `columns` the cells of all other columns. Without `columns`,
    as in older puts, `fields` are properties as their sender named them, merged one by one.
    """

    item_id: Name
    fields: Document
    columns: Document | None = None

    @property
    def key(self) -> str:
        """Return the Kafka key, `tenant:item`."""
        return f"{self.tenant}:{self.item_id}"
