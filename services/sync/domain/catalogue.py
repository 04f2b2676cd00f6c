"""The one state of an item or a user, merged field by field from order files, catalogues and puts.

Each field remembers when it was said: what was said later wins, whichever way and order it arrives in. A put
of a dataset is one record, which replaces the record before it; of a field or an attribute that the shop's
own sources name too, the later one wins.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson

from shared.errors import Permanent
from shared.events import ItemChanged, ItemPut, UserChanged, UserPut, derived_id
from shared.events.field_aliases import folded
from shared.events.fields import MOST_PROPERTIES, MOST_PROPERTY_BYTES, item_fields, user_fields

MAX_STATE_BYTES = 500_000
"""What the shop's own sources say of one item or user, as JSON: half of what a Kafka record may hold, since
the whole state is one event."""

MAX_RECORD_BYTES = 4 * 32_000 + 100_000
"""A dataset's record as JSON: the 32,000 characters of a put have four bytes each at most, and a number may
become longer. It is bounded where it is accepted, so that no record is refused here."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_CLOCK_SKEW = timedelta(minutes=5)
_ATTRIBUTE = "@"


def to_microseconds(at: datetime) -> int:
    """A time as a whole number, for the times of fields."""
    return (at - _EPOCH) // timedelta(microseconds=1)


class StateRejected(Permanent):
    """What was said of one item or user can't be taken; `code` is one word for reports."""

    code = "refused"


class StateTooLarge(StateRejected):
    """What was said of one item or user would make it larger than it may be."""

    code = "too_large"


class QuotaReached(StateRejected):
    """The tenant has as many items or users as it may have, and this one is new."""

    code = "quota_reached"


@dataclass(frozen=True, slots=True)
class Record:
    """The newest record of a dataset, when it was put (µs), and what the shop's own sources say beside it."""

    at: int
    fields: dict[str, Any]
    attributes: dict[str, Any]
    own_fields: dict[str, Any]
    own_attributes: dict[str, Any]

    def merged(self, times: Mapping[str, int]) -> tuple[dict[str, Any], dict[str, Any]]:
        """Return (fields, attributes) of both; `times` says when the shop's own sources said theirs.

        Attributes whose names differ in case and punctuation alone are one.
        """
        newer = {name: value for name, value in self.fields.items() if self.at >= times.get(name, -1)}
        put = {folded(name) for name in self.attributes}
        newer_own = {name for name in self.own_attributes if times.get(_ATTRIBUTE + name, -1) > self.at}
        replaced = {folded(name) for name in newer_own}
        own = {
            name: value
            for name, value in self.own_attributes.items()
            if name in newer_own or folded(name) not in put
        }
        record = {name: value for name, value in self.attributes.items() if folded(name) not in replaced}
        return self.own_fields | newer, own | record


@dataclass(slots=True)
class State:
    """The fields and attributes of one item or user, and the time (µs) when the shop said each of them."""

    id: str
    fields: dict[str, Any] = field(default_factory=dict)
    attributes: dict[str, Any] = field(default_factory=dict)
    times: dict[str, int] = field(default_factory=dict)
    record: Record | None = None
    is_new: bool = False
    has_updates: bool = False
    rejection: str | None = None
    """Why a new one can't be added; those that are known can be changed all the same."""
    _bytes: int | None = field(default=None, init=False, repr=False)
    _original: tuple[dict[str, Any], dict[str, Any]] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        """Remember how it was."""
        self._original = (dict(self.fields), dict(self.attributes))

    def put(self, fields: Mapping[str, Any], attributes: Mapping[str, Any], at: int) -> None:
        """Take over what is newer than what the shop said before. The same put again changes nothing.

        QuotaReached when the tenant may have no more, and StateTooLarge when the state would grow beyond the
        limits; then nothing is taken over. What makes a state smaller is always taken.
        """
        if self.rejection is not None:
            raise QuotaReached(self.rejection)
        times = self.times
        new_fields = {name: value for name, value in fields.items() if at > times.get(name, -1)}
        new_attributes = {
            name: value for name, value in attributes.items() if at > times.get(_ATTRIBUTE + name, -1)
        }
        if not new_fields and not new_attributes:
            return
        self._bytes = self._checked_size(new_fields, new_attributes)
        own_fields, own_attributes = self._own
        own_fields |= new_fields
        own_attributes |= new_attributes
        times |= dict.fromkeys(new_fields, at)
        times |= {_ATTRIBUTE + name: at for name in new_attributes}
        self.has_updates = True
        if self.record is not None:
            self.fields, self.attributes = self.record.merged(times)

    def replace(self, fields: dict[str, Any], attributes: dict[str, Any], at: int) -> None:
        """Take over a record of a dataset, unless a newer one is known; nothing of an older one stays.

        QuotaReached when the tenant may have no more items or users.
        """
        if self.rejection is not None:
            raise QuotaReached(self.rejection)
        if self.record is not None and at < self.record.at:
            return
        own_fields, own_attributes = self._own
        self.record = Record(at, fields, attributes, own_fields, own_attributes)
        self.fields, self.attributes = self.record.merged(self.times)
        self.has_updates = True

    @property
    def _own(self) -> tuple[dict[str, Any], dict[str, Any]]:
        """Return the (fields, attributes) of the shop's own builtin_mappings."""
        if self.record is None:
            return self.fields, self.attributes
        return self.record.own_fields, self.record.own_attributes

    def _checked_size(self, fields: Mapping[str, Any], attributes: Mapping[str, Any]) -> int:
        """Return the bytes of the state with the new values; StateTooLarge."""
        own_fields, own_attributes = self._own
        before = _size(own_fields) + _size(own_attributes) if self._bytes is None else self._bytes
        after = before
        for known, new in ((own_fields, fields), (own_attributes, attributes)):
            for name, value in new.items():
                size = _size_of(name, value)
                if size > MOST_PROPERTY_BYTES:
                    raise StateTooLarge(
                        f"{name[:60]!r} of {self.id!r} has {size:,} bytes; "
                        f"{MOST_PROPERTY_BYTES:,} are allowed"
                    )
                after += size - (_size_of(name, known[name]) if name in known else 0)
        if after > MAX_STATE_BYTES and after > before:
            raise StateTooLarge(
                f"{self.id!r} would have {after:,} bytes of properties; {MAX_STATE_BYTES:,} are allowed"
            )
        count = len(own_attributes.keys() | attributes.keys())
        if count > MOST_PROPERTIES and count > len(own_attributes):
            raise StateTooLarge(
                f"{self.id!r} would have {count:,} properties; {MOST_PROPERTIES:,} are allowed"
            )
        return after

    @property
    def needs_save(self) -> bool:
        """Whether there is something to write."""
        return self.rejection is None and (self.is_new or self.has_updates)

    @property
    def is_changed(self) -> bool:
        """Whether there is something to tell the others: a new state, or another one."""
        return self.is_new or self._original != (self.fields, self.attributes)


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


def parse_times(fields: dict[str, Any]) -> dict[str, Any]:
    """Return fields that were kept as JSON, which has no times, with their times."""
    if fields.get("created_at") is not None:
        return {**fields, "created_at": datetime.fromisoformat(fields["created_at"])}
    return fields


def _change_id(tenant: str, what: str, state: State) -> str:
    times = ",".join(f"{name}={at}" for name, at in sorted(state.times.items()))
    if state.record is not None:
        times += f";{state.record.at}"
    return derived_id(tenant, what, state.id, times)


def merge_put(state: State, put: ItemPut | UserPut, now: datetime) -> None:
    """Merge a put into the state of its item or user: a record, or properties one by one as older puts are.

    Permanent when a value can't be a field's; what the tracker accepts always can.
    """
    fields, attributes = (item_fields if isinstance(put, ItemPut) else user_fields)(put.fields)
    at = said_at(put, now)
    if put.columns is None:
        state.put(fields, attributes, at)
    else:
        state.replace(fields, attributes | put.columns, at)


def said_at(put: ItemPut | UserPut, now: datetime) -> int:
    """When it was said; a clock that runs ahead must not win for ever."""
    return to_microseconds(min(put.occurred_at, now + _CLOCK_SKEW))
