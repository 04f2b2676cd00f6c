"""The customers: who a user is now, and what somebody says about them."""

from __future__ import annotations

from shared.events.envelope import Document, Event, Name, Text


class UserChanged(Event):
    """The whole state of a user. A tombstone says that the user is gone."""

    user_id: Name
    name: Text | None = None
    city: Text | None = None
    province: Text | None = None
    country: Text | None = None
    attributes: Document = {}

    @property
    def key(self) -> str:
        """`tenant:user`."""
        return f"{self.tenant}:{self.user_id}"


class UserPut(Event):
    """What a PutUsers call says of a user; `fields` and `columns` are as those of ItemPut."""

    user_id: Name
    fields: Document
    columns: Document | None = None

    @property
    def key(self) -> str:
        """`tenant:user`."""
        return f"{self.tenant}:{self.user_id}"
