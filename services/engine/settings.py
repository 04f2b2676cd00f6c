"""The engine's settings."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import ClassVar, Literal

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict

from shared.settings import (
    AuthSettings,
    KafkaSettings,
    PostgresSettings,
    S3Settings,
    ServiceSettings,
)


class OwnersSettings(BaseSettings):
    """The addresses of services that count what they have of a person."""

    model_config = SettingsConfigDict(extra="ignore", frozen=True)

    endcap_recommender_url: str = Field("http://127.0.0.1:8005", description="URL of the recommender")
    endcap_analytics_url: str = Field("http://127.0.0.1:8008", description="URL of analytics")


class Settings(ServiceSettings):
    """The settings of the engine, among them the quotas of Amazon Personalize."""

    model_config = SettingsConfigDict(env_prefix="ENGINE_", extra="ignore", frozen=True)
    service: ClassVar[str] = "engine"

    port: int = Field(8007, description="HTTP port; the worker's probes listen on port + 100")
    postgres: PostgresSettings = Field(default_factory=lambda: PostgresSettings.of("engine"))
    kafka: KafkaSettings = Field(default_factory=lambda: KafkaSettings.of("engine"))
    s3: S3Settings = Field(default_factory=lambda: S3Settings.of("engine"))
    auth: AuthSettings = Field(default_factory=lambda: AuthSettings.of("engine"))
    owners: OwnersSettings = Field(default_factory=OwnersSettings)

    account: str = Field(
        "000000000000", pattern=r"^\d{12}$", description="the account that bootstrap creates"
    )
    strict: bool = Field(
        False,
        description="fail for too little data as Amazon Personalize does, instead of warning",
    )
    max_dataset_groups: int = Field(500, ge=1, description="dataset groups of an account")
    max_schemas: int = Field(500, ge=1, description="schemas of an account")
    max_solutions: int = Field(100, ge=1, description="solutions of a dataset group")
    max_campaigns: int = Field(100, ge=1, description="campaigns of a dataset group")
    max_recommenders: int = Field(100, ge=1, description="recommenders of a dataset group")
    max_filters: int = Field(200, ge=1, description="filters of a dataset group")
    max_placements: int = Field(200, ge=1, description="placements of a dataset group")
    max_keys: int = Field(200, ge=1, description="valid API keys of a dataset group")
    max_import_bytes: int = Field(10 * 2**30, ge=1, description="CSV files of one dataset import, together")
    max_import_rows: int = Field(100_000_000, ge=1, description="rows of one dataset import")
    max_pending_imports: int = Field(100, description="pending or running import jobs of a dataset group")
    max_pending_versions: int = Field(
        100, description="pending or training solution versions of a dataset group"
    )
    max_pending_batches: int = Field(
        100,
        description="pending or running batch jobs of a kind and a dataset group",
    )
    max_pending_exports: int = Field(
        100, description="pending or running dataset export jobs of a dataset group"
    )
    max_pending_deletions: int = Field(
        100, description="pending or running data deletion jobs of a dataset group"
    )
    compute: Literal["local", "spark"] = Field(
        "local", description="where trainings aggregate and batch jobs answer: this machine, or Spark"
    )
    spark_master: str = Field("local[*]", description="the Spark master for ENGINE_COMPUTE=spark")
    worker_concurrency: int = Field(
        2,
        ge=1,
        description="jobs of one tenant that a worker runs at once; it runs one more of other tenants",
    )
    job_threads: int = Field(
        1,
        ge=1,
        description="threads of a job's linear algebra; raise it where few jobs share many cores",
    )
    job_memory_mib: int | None = Field(
        None,
        ge=256,
        description="memory of a job's process, beside files that it maps; a job that needs more fails; "
        "empty for no limit",
    )
    work_folder: Path = Field(
        Path(tempfile.gettempdir()) / "endcap-engine",
        description="local disk (no tmpfs) for the files of jobs; a training needs up to 80 bytes per "
        "interaction. Emptied after each job",
    )
    keep_models: int = Field(
        5,
        ge=1,
        description="newest models of each solution that are kept, in addition to those in use",
    )
    erasure_services: tuple[str, ...] = Field(
        ("tracker", "sync", "trainer", "loader", "recommender", "router", "analytics"),
        description="services that must confirm a data deletion job before it is COMPLETED, as a JSON array",
    )
    count_seconds: float = Field(
        30.0, gt=0, description="time limit of another service that counts what it has of a person"
    )
    renewal_minutes: float = Field(
        30.0,
        description="shortest interval between renewals of a model with performIncrementalUpdate, in minutes",
    )
    garbage_hours: float = Field(
        24.0, description="hours until the files of replaced datasets and deleted models are removed"
    )

    def limit_threads(self) -> None:
        """Set the number of threads of child processes in their environment.

        Threads of OpenBLAS wait actively for each other, so two of them beside other jobs use several times
        the processor time of one.
        """
        for name in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS"):
            os.environ[name] = str(self.job_threads)
