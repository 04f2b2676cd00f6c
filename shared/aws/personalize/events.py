"""The requests PutEvents, PutItems and PutUsers.

boto3 checks required members and minimum lengths only; other limits are checked here, as the service does.
https://docs.aws.amazon.com/personalize/latest/dg/API_Operations_Amazon_Personalize_Events.html
"""

from __future__ import annotations

from typing import Annotated, Any

import orjson
from pydantic import AfterValidator, Field, StringConstraints

from shared.aws.members import ArnText, Name, Number, Text, Timestamp, WireModel

_NO_PROPERTIES = frozenset(
    ("userid", "sessionid", "eventtype", "timestamp", "recommendationid", "impression")
)


def _object(text: str) -> str:
    """Return the text of a JSON object; raises ValueError for any other text."""
    try:
        document = orjson.loads(text)
    except ValueError:
        document = None
    if not isinstance(document, dict):
        message = "must be the text of a JSON object"
        raise ValueError(message)  # noqa: TRY004 - pydantic takes a ValueError
    if "\\u0000" in text:
        message = "holds a NUL character, which can't be stored"
        raise ValueError(message)
    return text


def _without_members(text: str) -> str:
    """Return the text; raises ValueError if it has a property that is a member of the request itself."""
    wrong = [name for name in properties(text) if name.lower() in _NO_PROPERTIES]
    if wrong:
        message = f"can't hold {', '.join(wrong)}, which is not a property of an event"
        raise ValueError(message)
    return text


def properties(text: str | None) -> dict[str, Any]:
    """Return the object in a member `properties`; an empty one for None."""
    document: dict[str, Any] = orjson.loads(text) if text else {}
    return document


class MetricAttribution(WireModel):
    """The source that an event is attributed to, such as a surface or a third party."""

    event_attribution_source: Annotated[
        str, StringConstraints(max_length=1024, pattern=r"^[\x20-\x7E]*[\x21-\x7E]+[\x20-\x7E]*$")
    ]


class PutEvent(WireModel):
    """One event. Item and value are members, or inside `properties`."""

    event_id: Name | None = None
    event_type: Name
    event_value: Number | None = None
    item_id: Name | None = None
    properties: (
        Annotated[
            str,
            StringConstraints(min_length=1, max_length=1024),
            AfterValidator(_object),
            AfterValidator(_without_members),
        ]
        | None
    ) = None
    sent_at: Timestamp
    recommendation_id: Annotated[Text, StringConstraints(min_length=1, max_length=40)] | None = None
    impression: Annotated[tuple[Name, ...], Field(min_length=1, max_length=25)] | None = None
    metric_attribution: MetricAttribution | None = None


class PutEventsRequest(WireModel):
    """PutEvents: up to ten events of one user or session."""

    tracking_id: Name
    user_id: Name | None = None
    session_id: Name
    event_list: Annotated[tuple[PutEvent, ...], Field(min_length=1, max_length=10)]


class PutItem(WireModel):
    """An item, with its fields as the text of a JSON object."""

    item_id: Name
    properties: (
        Annotated[str, StringConstraints(min_length=1, max_length=32_000), AfterValidator(_object)] | None
    ) = None


class PutUser(WireModel):
    """A user, with its fields as the text of a JSON object."""

    user_id: Name
    properties: (
        Annotated[str, StringConstraints(min_length=1, max_length=24_000), AfterValidator(_object)] | None
    ) = None


class PutItemsRequest(WireModel):
    """PutItems: up to ten items of the Items dataset that the ARN names."""

    dataset_arn: ArnText
    items: Annotated[tuple[PutItem, ...], Field(min_length=1, max_length=10)]


class PutUsersRequest(WireModel):
    """PutUsers: up to ten users of the Users dataset that the ARN names."""

    dataset_arn: ArnText
    users: Annotated[tuple[PutUser, ...], Field(min_length=1, max_length=10)]
