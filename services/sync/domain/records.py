"""The normal form of what a source says of orders, items and users, whatever its format is."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Annotated, Any, NamedTuple, TypeAlias, TypeVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from shared.errors import Permanent
from shared.events.fields import field_value
from shared.events.values import Instant, Name, Number, Text

MOST_LINES = 5_000
"""Lines of one order, as in order files: its event must fit a Kafka record."""


def _text(value: Any) -> Any:
    """Return a number as text, since vendors write ids as either; None for an empty text."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        return str(int(value)) if float(value).is_integer() else str(value)
    if isinstance(value, str):
        return value.strip() or None
    return value


def _number(value: Any) -> Any:
    return None if isinstance(value, str) and not value.strip() else value


OptionalId = Annotated[Name | None, BeforeValidator(_text)]
Id = Annotated[Name, BeforeValidator(_text)]
OptionalText = Annotated[Text | None, Field(max_length=2_000), BeforeValidator(_text)]
OptionalNumber = Annotated[Number | None, BeforeValidator(_number)]


class _Record(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class LineRecord(_Record):
    """A line of an order. `key` is the source's id of the line, which all versions of the order repeat.

    `kept` is the quantity that the source says stays bought; None if it only names what was returned.
    """

    key: OptionalId = None
    product_id: Id
    name: OptionalText = None
    category: OptionalText = None
    quantity: OptionalNumber = 1.0
    price: OptionalNumber = None
    kept: OptionalNumber = None


class ReturnRecord(_Record):
    """A returned quantity of a line, under an id that repeats with the same return."""

    return_id: Id
    line_key: OptionalId = None
    product_id: OptionalId = None
    quantity: OptionalNumber = 1.0


class OrderRecord(_Record):
    """A version of an order. `updated_at` orders the versions; without it the later arrival is newer.

    `bought` is false for orders that are not (yet) paid, were cancelled, refunded or returned as a whole.
    """

    order_id: Id
    ordered_at: Instant
    updated_at: Instant | None = None
    status: OptionalText = None
    bought: bool = True
    cancelled: bool = False
    user_id: OptionalId = None
    customer_name: OptionalText = None
    city: OptionalText = None
    province: OptionalText = None
    country: OptionalText = None
    currency: OptionalText = None
    lines: tuple[LineRecord, ...] = Field((), max_length=MOST_LINES)
    returns: tuple[ReturnRecord, ...] = Field((), max_length=MOST_LINES)


class RefundRecord(_Record):
    """Returned lines of an order, which may arrive before the order itself."""

    order_id: Id
    at: Instant
    returns: tuple[ReturnRecord, ...] = Field(max_length=MOST_LINES)


class _State(_Record):
    updated_at: Instant | None = None
    fields: dict[str, Any] = {}
    attributes: dict[str, Any] = {}


class ItemRecord(_State):
    """The values of an item; `updated_at` is their time."""

    item_id: Id


class UserRecord(_State):
    """The values of a user."""

    user_id: Id


class CartRecord(_Record):
    """A product in a visitor's cart, which is an interaction of the session or the user."""

    session_id: OptionalId = None
    user_id: OptionalId = None
    item_id: Id
    quantity: OptionalNumber = None
    price: OptionalNumber = None
    at: Instant


class ErasureRecord(_Record):
    """A request to erase a person; without a user, every user of the source's orders."""

    user_id: OptionalId = None


Record: TypeAlias = OrderRecord | RefundRecord | ItemRecord | UserRecord | CartRecord | ErasureRecord


Valid = TypeVar("Valid", bound=_Record)


class Ignored(NamedTuple):
    """A delivery that brings nothing, with the reason as a sentence."""

    reason: str


def order(**values: Any) -> OrderRecord:
    """Return an order. Raises Permanent with the first invalid member."""
    return _valid(OrderRecord, values)


def refund(**values: Any) -> RefundRecord:
    """Return a refund. Raises Permanent with the first invalid member."""
    return _valid(RefundRecord, values)


def cart(**values: Any) -> CartRecord:
    """Return a product in a cart. Raises Permanent with the first invalid member."""
    return _valid(CartRecord, values)


def item(item_id: Any, updated_at: Any, fields: Mapping[str, Any], **attributes: Any) -> ItemRecord:
    """Return an item without the empty values. Raises Permanent for a value that its field can't hold."""
    return _valid(
        ItemRecord,
        {
            "item_id": item_id,
            "updated_at": updated_at,
            "fields": _fields(fields),
            "attributes": _present(attributes),
        },
    )


def user(user_id: Any, updated_at: Any, fields: Mapping[str, Any], **attributes: Any) -> UserRecord:
    """Return a user without the empty values. Raises Permanent for a value that its field can't hold."""
    return _valid(
        UserRecord,
        {
            "user_id": user_id,
            "updated_at": updated_at,
            "fields": _fields(fields),
            "attributes": _present(attributes),
        },
    )


def erasure(user_id: Any) -> ErasureRecord:
    """Return a request to erase a user, or with None all users of the source's orders. Raises Permanent."""
    return _valid(ErasureRecord, {"user_id": user_id})


def instant(value: Any, name: str) -> datetime | None:
    """Return an ISO 8601 time; one without an offset is in UTC. None stays None. Raises Permanent."""
    if value in (None, ""):
        return None
    try:
        time = datetime.fromisoformat(value)
        return time.replace(tzinfo=UTC) if time.tzinfo is None else time.astimezone(UTC)
    except (TypeError, ValueError, OverflowError):
        raise Permanent(f"{name} is {str(value)[:60]!r}, which is not a time in ISO 8601.") from None


def _valid(model: type[Valid], values: dict[str, Any]) -> Valid:
    try:
        return model.model_validate(values)
    except ValidationError as error:
        problem = error.errors()[0]
        place = ".".join(map(str, problem["loc"]))
        raise Permanent(f"{place} is not valid: {problem['msg']}.") from error


def _fields(fields: Mapping[str, Any]) -> dict[str, Any]:
    values = {name: field_value(name, _text_or(value), name) for name, value in fields.items()}
    return _present(values)


def _text_or(value: Any) -> Any:
    return value.strip() or None if isinstance(value, str) else value


def _present(values: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value not in (None, "", [], ())}
