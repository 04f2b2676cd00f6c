"""The tracker's settings."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field
from pydantic_settings import SettingsConfigDict

from shared.settings import AuthSettings, KafkaSettings, PostgresSettings, ServiceSettings


class Settings(ServiceSettings):
    """Settings of the tracker's processes; the variables begin with TRACKER_."""

    model_config = SettingsConfigDict(env_prefix="TRACKER_", extra="ignore", frozen=True)
    service: ClassVar[str] = "tracker"
    saturated_status: ClassVar[Literal[429, 503]] = 503
    """Some clients drop events that got a 4xx."""

    port: int = Field(8001, description="HTTP port; the worker's probes listen on port + 100")
    postgres: PostgresSettings = Field(default_factory=lambda: PostgresSettings.of("tracker"))
    kafka: KafkaSettings = Field(default_factory=lambda: KafkaSettings.of("tracker"))
    auth: AuthSettings = Field(default_factory=lambda: AuthSettings.of("tracker"))

    max_event_bytes: int = Field(32 * 1024, description="size of one event as JSON")
    max_batch_bytes: int = Field(500 * 1024, description="size of one request, compressed and decompressed")
    max_batch_events: int = Field(2_500, description="events of one request")
    max_waiting_bytes: int = Field(
        64 * 2**20, description="total size of the requests that wait for Kafka; more are answered with 503"
    )
    max_put_events_per_second: float | None = Field(
        None,
        gt=0,
        description="PutEvents calls of a dataset group per process; more get a ThrottlingException",
    )
    confirm_seconds: float = Field(
        2.0, description="how long a request waits for Kafka before it is answered with 503"
    )
    read_seconds: float = Field(10.0, description="how long a client may take to send a request")
    oldest_event_days: int = Field(
        7_300, description="older event times are taken for a wrong clock, and replaced by this age"
    )
    keep_events_days: int | None = Field(
        None, ge=1, description="age in days at which events are deleted from the log; by default they stay"
    )
    store_batch: int = Field(2_000, ge=1, description="maximum number of events stored in one transaction")
