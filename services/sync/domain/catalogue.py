"""The state of an item or user, merged field by field from order files, catalogue files and puts.

Each field has the time of its last update: the latest update wins, in whatever order updates arrive. A put of
a dataset is a record as a whole, which replaces the previous record. If a record and the shop's own sources
have the same field or attribute, the later one wins.

See docs/decisions/0020-catalogue-state.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson

from shared.errors import Permanent
from shared.events import ItemChanged, ItemPut, UserChanged, UserPut, derived_id
from shared.events.field_aliases import normalized_name
from shared.events.fields import MOST_PROPERTIES, MOST_PROPERTY_BYTES, item_fields, user_fields

MAX_STATE_BYTES = 500_000
"""Size of the values from the shop's own sources as JSON. The whole state is one event, so this is half of
the limit of a Kafka record."""

MAX_RECORD_BYTES = 4 * 32_000 + 100_000
"""Size of a dataset's record as JSON: a put has at most 32,000 characters of four bytes, and numbers may get
longer. The limit is enforced where a put is accepted, so no record is rejected here."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_CLOCK_SKEW = timedelta(minutes=5)
_ATTRIBUTE = "@"


def to_microseconds(at: datetime) -> int:
    """Return a time as integer microseconds since 1970."""
    return (at - _EPOCH) // timedelta(microseconds=1)


class StateRejected(Permanent):
    """An update that cannot be merged; `code` names the reason in reports."""

    code = "refused"


class StateTooLarge(StateRejected):
    """The update would exceed the size limit of an item or user."""

    code = "too_large"


class QuotaReached(StateRejected):
    """The item or user is new, and the tenant has reached its quota."""

    code = "quota_reached"


@dataclass(frozen=True, slots=True)
class Record:
    """The newest record of a dataset, the time of its put (µs), and the values of the shop's own sources."""

    at: int
    fields: dict[str, Any]
    attributes: dict[str, Any]
    own_fields: dict[str, Any]
    own_attributes: dict[str, Any]

    def merged(self, times: Mapping[str, int]) -> tuple[dict[str, Any], dict[str, Any]]:
        """Return the merged (fields, attributes); `times` (µs) are those of the shop's own sources.

        Attribute names that differ only in case and punctuation are the same attribute.
        """
        newer = {name: value for name, value in self.fields.items() if self.at >= times.get(name, -1)}
        put = {normalized_name(name) for name in self.attributes}
        newer_own = {name for name in self.own_attributes if times.get(_ATTRIBUTE + name, -1) > self.at}
        replaced = {normalized_name(name) for name in newer_own}
        own = {
            name: value
            for name, value in self.own_attributes.items()
            if name in newer_own or normalized_name(name) not in put
        }
        record = {
            name: value for name, value in self.attributes.items() if normalized_name(name) not in replaced
        }
        return self.own_fields | newer, own | record


@dataclass(slots=True)
class State:
    """The fields and attributes of one item or user; `times` (µs) are those of the shop's last updates."""

    id: str
    fields: dict[str, Any] = field(default_factory=dict)
    attributes: dict[str, Any] = field(default_factory=dict)
    times: dict[str, int] = field(default_factory=dict)
    record: Record | None = None
    is_new: bool = False
    has_updates: bool = False
    rejection: str | None = None
    """The reason why this new item or user is not added; None for one that exists."""
    _bytes: int | None = field(default=None, init=False, repr=False)
    _original: tuple[dict[str, Any], dict[str, Any]] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        """Keep a copy of the original values."""
        self._original = (dict(self.fields), dict(self.attributes))

    def put(self, fields: Mapping[str, Any], attributes: Mapping[str, Any], at: int) -> None:
        """Update the fields and attributes that are older than `at` (µs). A repeated update changes nothing.

        Raises QuotaReached beyond the tenant's quota, and StateTooLarge if the state would grow beyond the
        limits; then nothing is changed. An update that makes the state smaller is always accepted.
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
        """Replace the record of the dataset, unless the present one is newer than `at` (µs).

        Raises QuotaReached beyond the tenant's quota.
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
        """Return (fields, attributes) of the shop's own sources."""
        if self.record is None:
            return self.fields, self.attributes
        return self.record.own_fields, self.record.own_attributes

    def _checked_size(self, fields: Mapping[str, Any], attributes: Mapping[str, Any]) -> int:
        """Return the size of the state in bytes with the new values. Raises StateTooLarge."""
        own_fields, own_attributes = self._own
        before = _size(own_fields) + _size(own_attributes) if self._bytes is None else self._bytes
        after = before
        for present, new in ((own_fields, fields), (own_attributes, attributes)):
            for name, value in new.items():
                size = _property_size(name, value)
                if size > MOST_PROPERTY_BYTES:
                    raise StateTooLarge(
                        f"{name[:60]!r} of {self.id!r} has {size:,} bytes; "
                        f"{MOST_PROPERTY_BYTES:,} are allowed"
                    )
                after += size - (_property_size(name, present[name]) if name in present else 0)
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
        """Return whether the state has to be written."""
        return self.rejection is None and (self.is_new or self.has_updates)

    @property
    def is_changed(self) -> bool:
        """Return whether the state is new or has other values, so that it has to be published."""
        return self.is_new or self._original != (self.fields, self.attributes)


def _size(properties: Mapping[str, Any]) -> int:
    """Return the size of properties as JSON, in bytes."""
    return sum(_property_size(name, value) for name, value in properties.items())


def _property_size(name: str, value: Any) -> int:
    """Return the size of a property as JSON with its colon and comma, in bytes."""
    return len(orjson.dumps(name)) + len(orjson.dumps(value)) + 2


def item_changed(tenant: str, state: State, now: datetime) -> ItemChanged:
    """Return the event with the whole state of an item."""
    fields = {name: value for name, value in state.fields.items() if value is not None}
    return ItemChanged(
        event_id=_change_id(tenant, "item", state),
        tenant=tenant,
        occurred_at=now,
        item_id=state.id,
        attributes=state.attributes,
        **fields,
    )


def user_changed(tenant: str, state: State, now: datetime) -> UserChanged:
    """Return the event with the whole state of a user."""
    return UserChanged(
        event_id=_change_id(tenant, "user", state),
        tenant=tenant,
        occurred_at=now,
        user_id=state.id,
        attributes=state.attributes,
        **state.fields,
    )


def parse_times(fields: dict[str, Any]) -> dict[str, Any]:
    """Return fields that were stored as JSON, with the text of `created_at` parsed as a time."""
    if fields.get("created_at") is not None:
        return {**fields, "created_at": datetime.fromisoformat(fields["created_at"])}
    return fields


def _change_id(tenant: str, kind: str, state: State) -> str:
    times = ",".join(f"{name}={at}" for name, at in sorted(state.times.items()))
    if state.record is not None:
        times += f";{state.record.at}"
    return derived_id(tenant, kind, state.id, times)


def merge_put(state: State, put: ItemPut | UserPut, now: datetime) -> None:
    """Merge a put into a state: a record, or single properties in puts of older releases.

    Raises Permanent for a value that is not valid for its field; the tracker accepts no such put.
    """
    fields, attributes = (item_fields if isinstance(put, ItemPut) else user_fields)(put.fields)
    at = put_time(put, now)
    if put.columns is None:
        state.put(fields, attributes, at)
    else:
        state.replace(fields, attributes | put.columns, at)


def put_time(put: ItemPut | UserPut, now: datetime) -> int:
    """Return the time of a put (µs), at most five minutes ahead: a fast clock must not win for ever."""
    return to_microseconds(min(put.occurred_at, now + _CLOCK_SKEW))
