"""Settings of the loader."""

from __future__ import annotations

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
    """Settings of the loader: its connections, and the limits for batches."""

    model_config = SettingsConfigDict(env_prefix="LOADER_", extra="ignore", frozen=True)
    service: ClassVar[str] = "loader"

    port: int = Field(8004, description="HTTP port; the worker's probes listen on port + 100")
    keep_generations: int = Field(
        2, ge=0, description="generations kept for a rollback, besides the active ones"
    )
    least_share_of_last: float = Field(
        0.5, ge=0, le=1, description="refuse a recipe with fewer lists than this share of those served now"
    )
    most_unknown_items: float = Field(
        0.2,
        ge=0,
        le=1,
        description="refuse a batch when a larger share of its items is not in the catalogue; "
        "fewer are left out of the lists",
    )
    most_rejected_lines: float = Field(
        0.01, ge=0, le=1, description="refuse a batch when a larger share of its lines has errors"
    )
    follow_seconds: float = Field(1.0, gt=0, description="interval of comparing Redis with Postgres")
    clean_seconds: float = Field(10.0, gt=0, description="interval of dropping old generations")
    quality_seconds: float = Field(
        10.0, gt=0, description="interval of looking for lists whose quality is not measured"
    )
    coverage_seconds: float = Field(
        3600.0,
        gt=0,
        description="age of the count of users and items with lists at which it is counted again",
    )
    load_concurrency: int = Field(1, ge=1, description="generations loaded at a time by a worker")
    postgres: PostgresSettings = Field(default_factory=lambda: PostgresSettings.of("loader"))
    redis: RedisSettings = Field(default_factory=lambda: RedisSettings.of("loader"))
    s3: S3Settings = Field(default_factory=lambda: S3Settings.of("loader"))
    kafka: KafkaSettings = Field(default_factory=lambda: KafkaSettings.of("loader"))
    auth: AuthSettings = Field(default_factory=lambda: AuthSettings.of("loader"))
