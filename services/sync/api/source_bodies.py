"""Requests and answers of the routes of sources."""

from __future__ import annotations

from datetime import date, datetime
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ConfigDict, Field

from services.sync.domain.source_model import Secrets, SourceName
from services.sync.domain.sources import Config
from services.sync.store.inbox import Status

if TYPE_CHECKING:
    from services.sync.store.sources import Source


class SourceChange(BaseModel):
    """The configuration of a source."""

    model_config = ConfigDict(extra="forbid")

    enabled: bool = True
    config: Config
    secrets: Secrets | None = Field(
        None, max_length=10, description="by name; left out, a change keeps those that are stored"
    )


class NewSource(SourceChange):
    """A source to add."""

    name: SourceName


class SourceDetails(BaseModel):
    """A source, without its secrets."""

    name: str
    id: str
    kind: str
    enabled: bool
    config: dict[str, Any]
    secrets: list[str] = Field(description="names of the secrets that are stored")
    path: str | None = Field(description="where the shop system sends its webhooks")
    waiting: int = Field(description="deliveries that are not merged yet")
    failed: int = Field(description="deliveries that could not be merged, and wait for a person")
    newest_at: datetime | None = Field(description="when the newest delivery arrived")
    next_pull_at: datetime | None = Field(description="when the source is asked next")
    pulled_at: datetime | None = Field(description="when the newest run ended")
    read_until: date | None = Field(description="the last day that was read")
    pulled_objects: int = Field(description="orders, items and users that the newest run has read")
    pull_warnings: list[str] = Field(description="what the newest run could not make sure of")
    pull_error: str | None = Field(description="why the newest run failed")
    created_at: datetime
    updated_at: datetime

    @classmethod
    def of(cls, source: Source) -> SourceDetails:
        """Return the details of a source."""
        return cls(
            name=source.name,
            id=source.id,
            kind=source.kind,
            enabled=source.enabled,
            config=source.config,
            secrets=list(source.secret_names),
            path=f"/v1/webhooks/{source.id}" if source.kind == "webhook" else None,
            waiting=source.waiting,
            failed=source.failed,
            newest_at=source.newest_at,
            next_pull_at=source.next_pull_at,
            pulled_at=source.pulled_at,
            read_until=source.read_until,
            pulled_objects=source.pulled_objects,
            pull_warnings=list(source.pull_warnings),
            pull_error=source.pull_error,
            created_at=source.created_at,
            updated_at=source.updated_at,
        )


class SourceList(BaseModel):
    """The sources of a tenant by name."""

    sources: list[SourceDetails]


class DeliveryDetails(BaseModel):
    """A delivery of a source."""

    seq: int
    topic: str
    delivery: str = Field(description="the id under which it is stored once")
    status: Status
    reason: str | None = Field(description="why it brought nothing, or could not be merged")
    received_at: datetime
    settled_at: datetime | None
    bytes: int


class DeliveryBody(DeliveryDetails):
    """A delivery with its body."""

    body: str = Field(description="as it was received; bytes that are not UTF-8 are replaced")


class DeliveryList(BaseModel):
    """Deliveries, the newest first; the next page is before the last `seq`."""

    deliveries: list[DeliveryDetails]


class Run(BaseModel):
    """A run of a source that is asked."""

    model_config = ConfigDict(extra="forbid")

    full: bool = Field(False, description="read all days again, not only those since the last run")


class Replay(BaseModel):
    """Another body for a delivery, if the stored one was wrong."""

    model_config = ConfigDict(extra="forbid")

    body: dict[str, Any] | list[Any] | None = None
