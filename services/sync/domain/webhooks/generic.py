"""Bodies of any shape, read by JSONPath (RFC 9535): webhooks of any sender, and pages of a REST API."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any, Literal, Self
from zoneinfo import ZoneInfo

import jsonpath
from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from services.sync.domain import records
from services.sync.domain.records import Ignored, Record
from shared.errors import Permanent
from shared.events.values import Text

Kind = Literal["orders", "items", "users"]

FIELDS: Mapping[Kind, frozenset[str]] = {
    "orders": frozenset(
        ("order_id", "ordered_at", "updated_at", "status", "user_id", "customer_name", "city", "province",
         "country", "currency"),
    ),
    "items": frozenset(
        ("item_id", "updated_at", "name", "category", "price", "currency", "available", "created_at")
    ),
    "users": frozenset(("user_id", "updated_at", "name", "city", "province", "country")),
}  # fmt: skip
_LINE_FIELDS = frozenset(("key", "product_id", "name", "category", "quantity", "price", "returned"))
_REQUIRED: Mapping[Kind, tuple[str, ...]] = {
    "orders": ("order_id", "ordered_at"),
    "items": ("item_id",),
    "users": ("user_id",),
}
_MOST_OBJECTS = 5_000
"""Objects of one body; arbitrary."""


class Mapped(BaseModel):
    """The place of orders, items or users in a body, and of their members in each of them.

    Paths begin with `$`: `select` from the body, the others from the selected object or its line.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: Kind
    topic: Text | None = Field(None, description="only deliveries with this topic; by default all")
    select: Text = Field("$", description="JSONPath of the objects in the body")
    fields: dict[Text, Text] = Field(description="field → JSONPath; any other text is the value itself")
    attributes: dict[Text, Text] = Field({}, description="attribute → JSONPath, of items and users")
    lines: Text | None = Field(None, description="JSONPath of an order's lines in the object")
    line_fields: dict[Text, Text] = Field({}, description="field of a line → JSONPath in the line")
    bought: frozenset[Text] = Field(
        frozenset(), description="statuses of orders that are bought; by default all but `cancelled`"
    )
    cancelled: frozenset[Text] = Field(
        frozenset({"cancelled", "canceled", "refunded", "returned"}),
        description="statuses of orders that are cancelled or returned; letter case does not count",
    )
    timezone: Text = Field("UTC", description="time zone of times without an offset")
    date_format: Text | None = Field(None, description="strptime format; by default ISO 8601 or seconds")
    order_prefix: Text = Field("", max_length=40)

    @model_validator(mode="after")
    def _check(self) -> Self:
        self._check_names("fields", self.fields, FIELDS[self.kind])
        self._check_names("line_fields", self.line_fields, _LINE_FIELDS)
        missing = [name for name in _REQUIRED[self.kind] if name not in self.fields]
        if self.kind == "orders":
            missing += [] if "product_id" in self.line_fields else ["line_fields.product_id"]
            missing += [] if self.lines else ["lines"]
        if missing:
            message = f"{', '.join(missing)} must say where to find it"
            raise ValueError(message)
        for path in (self.select, self.lines or "$", *self.fields.values(), *self.line_fields.values(),
                     *self.attributes.values()):  # fmt: skip
            _compiled(path) if path.startswith("$") else None
        return self

    @staticmethod
    def _check_names(member: str, names: Mapping[str, str], known: frozenset[str]) -> None:
        unknown = sorted(names.keys() - known)
        if unknown:
            message = f"{member} names {unknown[0]!r}; known are {', '.join(sorted(known))}"
            raise ValueError(message)

    @field_validator("timezone")
    @classmethod
    def _check_timezone(cls, name: str) -> str:
        try:
            ZoneInfo(name)
        except (KeyError, ValueError, OSError) as error:
            raise ValueError(f"{name!r} is not a time zone; write it like Europe/Berlin") from error
        return name


def parse(topic: str, body: Any, mappings: tuple[Mapped, ...]) -> list[Record] | Ignored:
    """Return the records that the mappings find in a body. Raises Permanent for one that is not valid."""
    records_of_body: list[Record] = []
    matching = [mapping for mapping in mappings if mapping.topic in {None, topic}]
    for mapping in matching:
        for entry in selected(mapping.select, body):
            records_of_body.append(_record(mapping, entry))
            if len(records_of_body) > _MOST_OBJECTS:
                raise Permanent(f"The body has more than {_MOST_OBJECTS:,} objects; send it in parts.")
    if not matching:
        return Ignored(f"No mapping is for the topic {topic}.")
    return records_of_body or Ignored("The mappings select nothing in the body.")


def _record(mapping: Mapped, entry: Any) -> Record:
    values = {name: value_at(path, entry) for name, path in mapping.fields.items()}
    times = {name: _time(values.pop(name, None), name, mapping) for name in ("updated_at", "ordered_at")}
    if mapping.kind == "orders":
        return _order(mapping, entry, values, times)
    identity = values.pop("item_id" if mapping.kind == "items" else "user_id")
    if values.get("created_at") is not None:
        created_at = _time(values["created_at"], "created_at", mapping)
        values["created_at"] = created_at.isoformat() if created_at else None
    attributes = {name: value_at(path, entry) for name, path in mapping.attributes.items()}
    make = records.item if mapping.kind == "items" else records.user
    return make(identity, times["updated_at"], values, **attributes)


def _order(mapping: Mapped, entry: Any, values: dict[str, Any], times: dict[str, Any]) -> Record:
    status = str(values.get("status") or "").strip().lower()
    lines, returns = [], []
    for position, line in enumerate(selected(mapping.lines or "$", entry)):
        cells = {name: value_at(path, line) for name, path in mapping.line_fields.items()}
        returned = cells.pop("returned", None)
        cells.setdefault("key", str(position + 1))
        lines.append({name: value for name, value in cells.items() if value is not None})
        if returned:
            key = cells["key"]
            returns.append({"return_id": f"total:{key}", "line_key": key, "quantity": returned})
    cancelled = status in {word.lower() for word in mapping.cancelled}
    bought = status in {word.lower() for word in mapping.bought} if mapping.bought else not cancelled
    identity = values.pop("order_id")
    values["order_id"] = None if identity is None else f"{mapping.order_prefix}{identity}"
    return records.order(**values, **times, bought=bought, cancelled=cancelled, lines=lines, returns=returns)


def _time(value: Any, name: str, mapping: Mapped) -> datetime | None:
    if value in (None, ""):
        return None
    try:
        if isinstance(value, int | float) or (isinstance(value, str) and value.strip().isdigit()):
            seconds = float(value)
            return datetime.fromtimestamp(seconds / 1000 if seconds > 1e11 else seconds, UTC)
        if mapping.date_format:
            time = datetime.strptime(str(value), mapping.date_format)  # noqa: DTZ007 - the zone follows
        else:
            time = datetime.fromisoformat(str(value))
        return (time.replace(tzinfo=ZoneInfo(mapping.timezone)) if time.tzinfo is None else time).astimezone(
            UTC
        )
    except (ValueError, OverflowError, OSError):
        expected = mapping.date_format or "ISO 8601"
        raise Permanent(f"{name} is {str(value)[:60]!r}, which is not a time in {expected}.") from None


def value_at(path: str, document: Any) -> Any:
    """Return the first value at a path, or the text itself if it is no path."""
    if not path.startswith("$"):
        return path
    return next(iter(selected(path, document)), None)


def selected(path: str, document: Any) -> Iterator[Any]:
    """Yield the values at a path. Raises Permanent if it can't be applied."""
    try:
        for match in _compiled(path).finditer(document):
            yield match.obj
    except (jsonpath.JSONPathError, RecursionError) as error:
        raise Permanent(f"The path {path} can't be applied to the body: {error}") from error


@lru_cache(1_024)
def _compiled(path: str) -> jsonpath.JSONPath | jsonpath.CompoundJSONPath:
    """Return a compiled path. Raises ValueError if it is not one."""
    try:
        return jsonpath.compile(path)
    except jsonpath.JSONPathError as error:
        message = f"{path!r} is not a JSONPath: {error}"
        raise ValueError(message) from error
