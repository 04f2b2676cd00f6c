"""The bounds of values, defined once for every service.

There are two levels. Intake (requests, rows of files) accepts what every later step can use: `Number`,
`instant`. A record on Kafka may be older than these bounds, so events refuse only what can't be stored:
`Finite`, `Instant`.

See docs/decisions/0010-event-intake.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Any

import orjson
from pydantic import AfterValidator, AwareDatetime, Field, StringConstraints

LONGEST_ID = 256
"""Characters of an id; the limit of Amazon Personalize."""
LARGEST = 1e12
"""The largest magnitude of a number that intake accepts. Arbitrary: it fits into a float of 32 bits (3.4e38),
and the sum of 1e15 such numbers is exact to one part in 1e15."""
LARGEST_INT4 = 2**31 - 1
LARGEST_INT8 = 2**63 - 1
"""The largest values of Postgres' types `int` and `bigint`."""
LONGEST_KEY = 1024
"""Bytes of an object's key; the limit of Amazon S3."""

EARLIEST = datetime(1000, 1, 1, tzinfo=UTC)
LATEST = datetime(3000, 1, 1, tzinfo=UTC)
"""Intake accepts EARLIEST <= time < LATEST. Arbitrary: a book may be centuries old, and every later step
(seconds since 1970 in training data, any time zone) can represent times beyond both ends."""
FIRST_STORABLE = datetime(1, 1, 2, tzinfo=UTC)
LAST_STORABLE = datetime(9999, 12, 30, 23, 59, 59, 999_999, tzinfo=UTC)
"""One day inside the range of Python's datetime (years 1 to 9999), so that no time zone overflows it."""


def _storable(text: str) -> str:
    """Return the text; ValueError if UTF-8 or Postgres can't hold it."""
    if "\x00" in text:
        message = "holds a NUL character, which can't be stored"
        raise ValueError(message)
    if text.isascii():
        return text
    try:
        text.encode()
    except UnicodeEncodeError:
        message = "holds half of a surrogate pair, which can't be stored"
        raise ValueError(message) from None
    return text


Text = Annotated[str, AfterValidator(_storable)]
"""Any text that can be stored."""

Name = Annotated[str, StringConstraints(min_length=1, max_length=LONGEST_ID), AfterValidator(_storable)]
"""An id or a short name: 1 to 256 characters."""


def _storable_json(document: dict[str, Any]) -> dict[str, Any]:
    try:
        text = orjson.dumps(document)
    except TypeError as error:  # a lone surrogate, nesting beyond 254 levels, a key that is no string
        message = f"can't be written as JSON: {error}"
        raise ValueError(message) from None
    if b"\\u0000" in text:
        message = "holds a NUL character, which can't be stored"
        raise ValueError(message)
    return document


Document = Annotated[dict[str, Any], AfterValidator(_storable_json)]
"""A JSON object of any shape that Postgres can store."""

Number = Annotated[float, Field(ge=-LARGEST, le=LARGEST, allow_inf_nan=False)]
"""A number that intake accepts: finite, at most 1e12 in magnitude."""

Finite = Annotated[float, Field(allow_inf_nan=False)]
"""A number in a record, which may be older than the bound of `Number`."""

Instant = Annotated[AwareDatetime, Field(ge=FIRST_STORABLE, le=LAST_STORABLE)]
"""A time with a zone, which can be stored and converted to UTC."""

Whole = Annotated[int, Field(ge=1, le=LARGEST_INT8)]
"""The number of a row or version: from 1 to the largest `bigint`."""

# ASCII only: each of the following becomes part of a key, a path or a URL.
Tenant = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9-]{0,79}$")]
"""A tenant's id, which the engine makes: a resource's name (at most 63 characters) and a suffix."""

RecipeName = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9-]{0,63}$")]
"""A recipe, such as `aws-user-personalization`."""

ResourceName = Annotated[
    str, StringConstraints(min_length=1, max_length=63, pattern=r"^[a-zA-Z0-9][a-zA-Z0-9\-_]*$")
]
"""The name of a resource; the limits of Amazon Personalize."""

CampaignName = Annotated[str, StringConstraints(pattern=r"^(recommender/)?[a-zA-Z0-9][a-zA-Z0-9_-]{0,62}$")]
"""A campaign's name, or `recommender/` and a recommender's name, which is published as a campaign."""

Sha256 = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
"""A SHA-256 in lower-case hexadecimal."""

BucketName = Annotated[str, StringConstraints(pattern=r"^[a-zA-Z0-9][a-zA-Z0-9._-]{0,254}$")]
"""A bucket's name; wider than the rules of Amazon S3, as other object stores allow more."""


def _contained(key: str) -> str:
    """Return an object's key; ValueError if as a path it would lead out of its folder, or is too long."""
    if any(part in {".", ".."} for part in key.split("/")):
        message = "must not hold . or .. as a part"
        raise ValueError(message)
    if len(key.encode()) > LONGEST_KEY:
        message = f"is longer than {LONGEST_KEY} bytes"
        raise ValueError(message)
    return key


ObjectKey = Annotated[Text, StringConstraints(min_length=1), AfterValidator(_contained)]
"""The key of an object, without `.` and `..` as parts."""

ObjectUri = Annotated[
    Text,
    StringConstraints(pattern=r"^s3://[a-zA-Z0-9][a-zA-Z0-9._-]{0,254}/.+$"),
    AfterValidator(lambda uri: f"{uri[:5]}{_contained(uri[5:])}"),
]
"""`s3://bucket/key`, with a key as in `ObjectKey`."""


def is_usable(number: float) -> bool:
    """Return whether intake accepts a number; False for NaN."""
    return abs(number) <= LARGEST


def instant(time: datetime) -> datetime:
    """Return a time in UTC; a time without a zone counts as UTC.

    Raises ValueError for a time before EARLIEST or from LATEST on.
    """
    if time.tzinfo is None:
        time = time.replace(tzinfo=UTC)
    # Compared before the conversion, which overflows at the ends of datetime's range.
    if not EARLIEST <= time < LATEST:
        message = f"{time.isoformat()} is not between the years {EARLIEST.year} and {LATEST.year}"
        raise ValueError(message)
    return time.astimezone(UTC)


def instant_of_epoch(seconds: float) -> datetime:
    """Return the time of `seconds` since 1970; ValueError if it is out of the bounds of `instant`."""
    if not EARLIEST.timestamp() <= seconds < LATEST.timestamp():
        message = f"{seconds} seconds since 1970 are not between the years {EARLIEST.year} and {LATEST.year}"
        raise ValueError(message)
    return datetime.fromtimestamp(seconds, UTC)
