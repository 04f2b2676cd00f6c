"""The recommender's settings."""

from __future__ import annotations

import tempfile
from datetime import timedelta
from pathlib import Path
from typing import ClassVar

from pydantic import Field
from pydantic_settings import SettingsConfigDict

from shared.settings import (
    AuthSettings,
    KafkaSettings,
    PostgresSettings,
    RedisSettings,
    S3Settings,
    ServiceSettings,
)


class Settings(ServiceSettings):
    """What the recommender waits for, and for how long; what it remembers of a customer."""

    model_config = SettingsConfigDict(env_prefix="RECOMMENDER_", extra="ignore", frozen=True)
    service: ClassVar[str] = "recommender"

    port: int = Field(8005, description="HTTP port; the worker's probes listen on port + 100")
    redis_milliseconds: float = Field(20.0, gt=0, description="how long a request waits for Redis")
    postgres_milliseconds: float = Field(100.0, gt=0, description="how long a request waits for Postgres")
    bought_days: int = Field(30, ge=1, description="what was bought within these days is not recommended")
    history_days: int = Field(90, ge=1, description="how long a customer's last events stay in Redis")
    session_days: int = Field(14, ge=1, description="how long those of a session without a customer stay")
    history_megabytes: int | None = Field(
        None,
        ge=1,
        description="Redis memory that the histories of one tenant may take; "
        "a quarter of what Redis may take if it is not set",
    )
    pointer_seconds: float = Field(
        30.0, gt=0, description="how often Postgres is asked what is active, beside the events"
    )
    models_folder: Path = Field(
        Path(tempfile.gettempdir()) / "endcap-models",
        description="local disk for the models of campaigns; they are mapped into memory from there",
    )
    models_kept: int = Field(
        3, ge=0, description="local copies of models that stay though no campaign serves them any more"
    )
    postgres: PostgresSettings = Field(default_factory=lambda: PostgresSettings.of("recommender"))
    redis: RedisSettings = Field(default_factory=lambda: RedisSettings.of("recommender"))
    s3: S3Settings = Field(default_factory=lambda: S3Settings.of("recommender"))
    kafka: KafkaSettings = Field(default_factory=lambda: KafkaSettings.of("recommender"))
    auth: AuthSettings = Field(default_factory=lambda: AuthSettings.of("recommender"))

    @property
    def bought_for(self) -> timedelta:
        """The look-back of "already bought"."""
        return timedelta(days=self.bought_days)
