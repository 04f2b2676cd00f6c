"""The users: the state of each, and puts that change it."""

from __future__ import annotations

from shared.events.envelope import Document, Event, Name, Text


class UserChanged(Event):
    """The whole state of a user. A tombstone deletes it."""

    user_id: Name
    name: Text | None = None
    city: Text | None = None
    province: Text | None = None
    country: Text | None = None
    attributes: Document = {}

    @property
    def key(self) -> str:
        """Return the Kafka key, `tenant:user`."""
        return f"{self.tenant}:{self.user_id}"


class UserPut(Event):
    """One user of a PutUsers call; `fields` and `columns` are as in ItemPut."""

    user_id: Name
    fields: Document
    columns: Document | None = None

    @property
    def key(self) -> str:
        """Return the Kafka key, `tenant:user`."""
        return f"{self.tenant}:{self.user_id}"
