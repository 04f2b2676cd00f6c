"""The one state of an item or a user, merged field by field from order files, catalogues and puts.

Each field remembers when it was said: what was said later wins, whichever way and order it arrives in.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson

from shared.errors import Permanent
from shared.events import ItemChanged, ItemPut, UserChanged, UserPut, derived_id
from shared.events.fields import MOST_PROPERTIES, MOST_PROPERTY_BYTES, item_fields, user_fields

MOST_STATE_BYTES = 500_000
"""One item or user as JSON: half of what a Kafka record may hold, since the whole state is one event."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_CLOCK_SKEW = timedelta(minutes=5)
_ATTRIBUTE = "@"


def microseconds(at: datetime) -> int:
    """A time as a whole number, for the times of fields."""
    return (at - _EPOCH) // timedelta(microseconds=1)


class StateRefused(Permanent):
    """What was said of one item or user can't be taken; `code` is one word for reports."""

    code = "refused"


class StateTooLarge(StateRefused):
    """What was said of one item or user would make it larger than it may be."""

    code = "too_large"


class QuotaReached(StateRefused):
    """The tenant has as many items or users as it may have, and this one is new."""

    code = "quota_reached"


@dataclass(slots=True)
class State:
    """The fields and attributes of one item or user, each with the time (µs) when it was said."""

    id: str
    fields: dict[str, Any] = field(default_factory=dict)
    attributes: dict[str, Any] = field(default_factory=dict)
    times: dict[str, int] = field(default_factory=dict)
    is_new: bool = False
    is_touched: bool = False
    refusal: str | None = None
    """Why a new one can't be added; those that are known can be changed all the same."""
    _bytes: int | None = field(default=None, init=False, repr=False)
    _before: tuple[dict[str, Any], dict[str, Any]] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        """Remember how it was."""
        self._before = (dict(self.fields), dict(self.attributes))

    def put(self, fields: Mapping[str, Any], attributes: Mapping[str, Any], at: int) -> None:
        """Take over what is newer than what is known. The same put again changes nothing.

        QuotaReached when the tenant may have no more, and StateTooLarge when the state would grow beyond the
        limits; then nothing is taken over. What makes a state smaller is always taken.
        """
        if self.refusal is not None:
            raise QuotaReached(self.refusal)
        times = self.times
        new_fields = {name: value for name, value in fields.items() if at > times.get(name, -1)}
        new_attributes = {
            name: value for name, value in attributes.items() if at > times.get(_ATTRIBUTE + name, -1)
        }
        if not new_fields and not new_attributes:
            return
        self._bytes = self._checked_size(new_fields, new_attributes)
        self.fields |= new_fields
        self.attributes |= new_attributes
        times |= dict.fromkeys(new_fields, at)
        times |= {_ATTRIBUTE + name: at for name in new_attributes}
        self.is_touched = True

    def _checked_size(self, fields: Mapping[str, Any], attributes: Mapping[str, Any]) -> int:
        """Return the bytes of the state with the new values; StateTooLarge."""
        before = _size(self.fields) + _size(self.attributes) if self._bytes is None else self._bytes
        after = before
        for known, new in ((self.fields, fields), (self.attributes, attributes)):
            for name, value in new.items():
                size = _size_of(name, value)
                if size > MOST_PROPERTY_BYTES:
                    raise StateTooLarge(
                        f"{name[:60]!r} of {self.id!r} has {size:,} bytes; "
                        f"{MOST_PROPERTY_BYTES:,} are allowed"
                    )
                after += size - (_size_of(name, known[name]) if name in known else 0)
        if after > MOST_STATE_BYTES and after > before:
            raise StateTooLarge(
                f"{self.id!r} would have {after:,} bytes of properties; {MOST_STATE_BYTES:,} are allowed"
            )
        count = len(self.attributes.keys() | attributes.keys())
        if count > MOST_PROPERTIES and count > len(self.attributes):
            raise StateTooLarge(
                f"{self.id!r} would have {count:,} properties; {MOST_PROPERTIES:,} are allowed"
            )
        return after

    @property
    def is_saved(self) -> bool:
        """Whether there is something to write."""
        return self.refusal is None and (self.is_new or self.is_touched)

    @property
    def is_published(self) -> bool:
        """Whether there is something to tell the others: a new state, or another one."""
        return self.is_new or self._before != (self.fields, self.attributes)


def _size(properties: Mapping[str, Any]) -> int:
    """Return the bytes of properties as JSON."""
    return sum(_size_of(name, value) for name, value in properties.items())


def _size_of(name: str, value: Any) -> int:
    """Return the bytes of one property as JSON, with its colon and comma."""
    return len(orjson.dumps(name)) + len(orjson.dumps(value)) + 2


def item_changed(tenant: str, state: State, now: datetime) -> ItemChanged:
    """The whole state of an item as an event."""
    known = {name: value for name, value in state.fields.items() if value is not None}
    return ItemChanged(
        event_id=_change_id(tenant, "item", state),
        tenant=tenant,
        occurred_at=now,
        item_id=state.id,
        attributes=state.attributes,
        **known,
    )


def user_changed(tenant: str, state: State, now: datetime) -> UserChanged:
    """The whole state of a user as an event."""
    return UserChanged(
        event_id=_change_id(tenant, "user", state),
        tenant=tenant,
        occurred_at=now,
        user_id=state.id,
        attributes=state.attributes,
        **state.fields,
    )


def _change_id(tenant: str, what: str, state: State) -> str:
    times = ",".join(f"{name}={at}" for name, at in sorted(state.times.items()))
    return derived_id(tenant, what, state.id, times)


def item_put(put: ItemPut) -> tuple[dict[str, Any], dict[str, Any]]:
    """(fields, attributes) that a put of an item says. Permanent when a value can't be a field's."""
    return item_fields(put.fields)


def user_put(put: UserPut) -> tuple[dict[str, Any], dict[str, Any]]:
    """(fields, attributes) that a put of a user says."""
    return user_fields(put.fields)


def said_at(put: ItemPut | UserPut, now: datetime) -> int:
    """When it was said; a clock that runs ahead must not win for ever."""
    return microseconds(min(put.occurred_at, now + _CLOCK_SKEW))
