"""A file was put into the object store: the store's own notification, not ours.

Format: Amazon S3 event message structure 2.x, which S3-compatible servers publish to Kafka unchanged.
"""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict, Field


class _Loose(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore", populate_by_name=True)


class _Bucket(_Loose):
    name: str


class _Object(_Loose):
    key: str
    size: int | None = None
    etag: str | None = Field(None, alias="eTag")


class _Entity(_Loose):
    bucket: _Bucket
    object: _Object


class ObjectCreated(_Loose):
    """One uploaded object."""

    event_name: str = Field(alias="eventName")
    s3: _Entity


class ObjectNotice(_Loose):
    """A notification; a test message at the server's start has no records."""

    records: tuple[ObjectCreated, ...] = Field((), alias="Records")
    event: Any = Field(None, alias="Event")
