"""The types of members of requests and responses: names, timestamps, numbers."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, StringConstraints
from pydantic.alias_generators import to_camel

from shared.events.values import Name, Number, ResourceName, Text

ARN_PATTERN = r"^arn:([a-z\d-]+):personalize:.*:.*:.+$"


class WireModel(BaseModel):
    """A request or response: camelCase on the wire, unknown members ignored."""

    model_config = ConfigDict(
        frozen=True, extra="ignore", alias_generator=to_camel, populate_by_name=True, defer_build=True
    )


def from_epoch(value: object) -> Any:
    """Return seconds since 1970 (int, float or numeric text) as a datetime; any other value as it is.

    boto3 sends whole seconds and the JavaScript SDK fractions; neither sends milliseconds. Raises ValueError
    for seconds out of the range of datetime.
    """
    if isinstance(value, str):
        try:
            value = float(value)
        except ValueError:
            return value
    if isinstance(value, int | float) and not isinstance(value, bool):
        try:
            return datetime.fromtimestamp(value, UTC)
        except (OverflowError, OSError, ValueError):
            message = f"{value} is not a time in seconds since 1970"
            raise ValueError(message) from None
    return value


def _aware(value: datetime) -> datetime:
    return value if value.tzinfo else value.replace(tzinfo=UTC)


def to_epoch(moment: datetime) -> float:
    """Return a time as seconds since 1970 with milliseconds, the only form that all SDKs accept."""
    return round(moment.timestamp(), 3)


Timestamp = Annotated[datetime, BeforeValidator(from_epoch), AfterValidator(_aware)]
"""A time, in seconds since 1970 on the wire."""

ArnText = Annotated[Text, StringConstraints(max_length=256, pattern=ARN_PATTERN)]
"""An ARN of Personalize, of any partition, region and account."""

__all__ = [
    "ArnText",
    "Name",
    "Number",
    "ResourceName",
    "Text",
    "Timestamp",
    "WireModel",
    "from_epoch",
    "to_epoch",
]
