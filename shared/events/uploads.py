"""Notifications of uploads, which the object store publishes in a format of its own.

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
    """A notification; the test message that a server sends at its start has no records."""

    records: tuple[ObjectCreated, ...] = Field((), alias="Records")
    event: Any = Field(None, alias="Event")
