"""The recommender's settings."""

from __future__ import annotations

import tempfile
from datetime import timedelta
from pathlib import Path
from typing import ClassVar

from pydantic import Field
from pydantic_settings import SettingsConfigDict

from shared.aws.personalize.recommendation_ids import signing_key
from shared.events.topics import FORTNIGHT
from shared.settings import (
    AuthSettings,
    KafkaSettings,
    PostgresSettings,
    RedisSettings,
    S3Settings,
    ServiceSettings,
)


class Settings(ServiceSettings):
    """Time limits of requests, what is stored of a customer and for how long, and local model copies."""

    model_config = SettingsConfigDict(env_prefix="RECOMMENDER_", extra="ignore", frozen=True)
    service: ClassVar[str] = "recommender"

    port: int = Field(8005, description="HTTP port; the worker's probes listen on port + 100")
    redis_milliseconds: float = Field(20.0, gt=0, description="time limit of Redis for a request")
    postgres_milliseconds: float = Field(100.0, gt=0, description="time limit of Postgres for a request")
    bought_days: int = Field(
        30, ge=1, description="items that a user purchased within these days are not recommended"
    )
    history_days: int = Field(90, ge=1, description="days that a user's last events are kept in Redis")
    session_days: int = Field(
        14, ge=1, description="days that the events of a session without a user are kept"
    )
    history_megabytes: int | None = Field(
        None,
        ge=1,
        description="Redis memory for the histories of one tenant; by default a quarter of Redis's memory",
    )
    override_days: int = Field(
        30, ge=1, le=3650, description="days until an override, put by GraphQL, expires"
    )
    overrides_per_tenant: int = Field(100_000, ge=1, description="overrides that one tenant may have")
    pointer_seconds: float = Field(
        30.0,
        gt=0,
        description="seconds between reads of the active generations and of the running experiments from "
        "Postgres, beside the events",
    )
    exposures_kept: int = Field(10_000, ge=1, description="maximum number of exposures that wait for Kafka")
    models_folder: Path = Field(
        Path(tempfile.gettempdir()) / "endcap-models",
        description="folder for local copies of models, from which they are mapped into memory",
    )
    models_kept: int = Field(
        3,
        ge=0,
        description="local copies of models that are kept after their campaigns have stopped using them",
    )
    streams: int = Field(
        500, ge=0, description="open streams of placements of a process; each is one of its requests"
    )
    stream_seconds: float = Field(
        3_600.0,
        gt=0,
        description="seconds after which a stream ends; the client connects again, and its key is verified",
    )
    state_folder: Path = Field(
        Path(tempfile.gettempdir()) / "endcap-recommender",
        description="folder of small files that outlive a killed process: counters of published answers",
    )
    servings_megabytes: float = Field(
        16.0,
        gt=0,
        description="memory for answers that wait to be published while Kafka is unavailable",
    )
    recommendation_hours: float = Field(
        48.0,
        gt=0,
        le=14 * 24,
        description="hours that an answer can be looked up by its recommendationId",
    )
    postgres: PostgresSettings = Field(default_factory=lambda: PostgresSettings.of("recommender"))
    redis: RedisSettings = Field(default_factory=lambda: RedisSettings.of("recommender"))
    s3: S3Settings = Field(default_factory=lambda: S3Settings.of("recommender"))
    kafka: KafkaSettings = Field(default_factory=lambda: KafkaSettings.of("recommender"))
    auth: AuthSettings = Field(default_factory=lambda: AuthSettings.of("recommender"))

    @property
    def purchase_lookback(self) -> timedelta:
        """Return how far back purchases are left out of recommendations."""
        return timedelta(days=self.bought_days)

    @property
    def kept_answers(self) -> timedelta:
        """Return how long an answer can be looked up by its recommendationId."""
        return timedelta(hours=self.recommendation_hours)

    @property
    def kept_erasure_marks(self) -> timedelta:
        """Return how long it is known that a user was erased: as long as older events may still arrive.

        interactions-v1 and its dead letters have events of `FORTNIGHT`, a day more for those in between;
        imports have older ones, of which histories keep those of the look-back on purchases.
        """
        return max(self.kept_answers, self.purchase_lookback, FORTNIGHT + timedelta(days=1))

    @property
    def servings_bytes(self) -> int:
        """Return the memory for answers that wait to be published."""
        return int(self.servings_megabytes * 2**20)

    @property
    def recommendation_key(self) -> bytes:
        """Return the key that signs recommendationIds; a fixed one without ENDCAP_SECRET_KEY."""
        secret = self.auth.endcap_secret_key
        return signing_key(secret.get_secret_value() if secret else "")
