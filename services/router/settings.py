"""The router's settings."""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict

from shared.settings import AuthSettings, KafkaSettings, PostgresSettings, ServiceSettings


class UpstreamSettings(BaseSettings):
    """The address of the recommender."""

    model_config = SettingsConfigDict(extra="ignore", frozen=True)

    endcap_recommender_url: str = Field("http://127.0.0.1:8005", description="URL of the recommender")


class Settings(ServiceSettings):
    """Addresses, time limits and quotas of the router."""

    model_config = SettingsConfigDict(env_prefix="ROUTER_", extra="ignore", frozen=True)
    service: ClassVar[str] = "router"

    port: int = Field(8006, description="HTTP port; the worker's probes listen on port + 100")
    upstream: UpstreamSettings = Field(default_factory=UpstreamSettings)
    upstream_seconds: float = Field(2.0, gt=0, description="time limit of a request to the recommender")
    preview_seconds: float = Field(
        15.0, gt=0, description="time limit of a preview, which reads and repeats many requests"
    )
    poll_seconds: float = Field(2.0, gt=0, description="seconds between reads of the running experiments")
    max_experiments: int = Field(
        200, ge=1, description="maximum number of draft and running experiments of a tenant"
    )
    max_experiment_versions: int = Field(
        200, ge=1, description="maximum number of versions of one experiment"
    )
    monitor_seconds: float = Field(
        60.0,
        gt=0,
        description="seconds between counts of running experiments, which pause those with a sample-ratio "
        "mismatch or a harmed guardrail",
    )
    bandit_seconds: float = Field(
        30.0, gt=0, description="seconds between looks for bandits whose period is over"
    )
    cool_down_days: int = Field(
        0,
        ge=0,
        le=365,
        description="days after the end of an experiment in which no other one may begin in its segment of a "
        "layer",
    )
    answers_days: int = Field(
        90, ge=31, description="days after which rows of interleaved and shadow answers are deleted"
    )
    results_seconds: float = Field(
        20.0, gt=0, description="time limit of reading the results of an experiment"
    )
    count_seconds: float = Field(
        100.0, gt=0, le=120, description="time limit of the monitor for counting an experiment"
    )
    postgres: PostgresSettings = Field(default_factory=lambda: PostgresSettings.of("router"))
    kafka: KafkaSettings = Field(default_factory=lambda: KafkaSettings.of("router"))
    auth: AuthSettings = Field(default_factory=lambda: AuthSettings.of("router"))
