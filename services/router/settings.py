"""The router's settings."""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict

from shared.settings import AuthSettings, KafkaSettings, PostgresSettings, ServiceSettings


class UpstreamSettings(BaseSettings):
    """The recommender."""

    model_config = SettingsConfigDict(extra="ignore", frozen=True)

    endcap_recommender_url: str = Field("http://127.0.0.1:8005", description="where the recommender answers")


class Settings(ServiceSettings):
    """Where the router finds things, and how long it waits for them."""

    model_config = SettingsConfigDict(env_prefix="ROUTER_", extra="ignore", frozen=True)
    service: ClassVar[str] = "router"

    port: int = Field(8006, description="HTTP port; the worker's probes listen on port + 100")
    upstream: UpstreamSettings = Field(default_factory=UpstreamSettings)
    upstream_seconds: float = Field(2.0, gt=0, description="how long the recommender may take")
    poll_seconds: float = Field(2.0, gt=0, description="how often running experiments are read")
    max_experiments: int = Field(200, ge=1, description="draft and running experiments of a tenant")
    max_experiment_versions: int = Field(200, ge=1, description="versions of one experiment")
    results_seconds: float = Field(
        20.0, gt=0, description="how long a look at an experiment's results may take"
    )
    exposures_kept: int = Field(10_000, ge=1, description="exposures that wait for Kafka at the most")
    postgres: PostgresSettings = Field(default_factory=lambda: PostgresSettings.of("router"))
    kafka: KafkaSettings = Field(default_factory=lambda: KafkaSettings.of("router"))
    auth: AuthSettings = Field(default_factory=lambda: AuthSettings.of("router"))
