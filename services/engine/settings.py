"""The engine's settings."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import ClassVar, Literal

from pydantic import Field
from pydantic_settings import SettingsConfigDict

from shared.settings import (
    AuthSettings,
    KafkaSettings,
    PostgresSettings,
    S3Settings,
    ServiceSettings,
)


class Settings(ServiceSettings):
    """What the engine needs, and the limits that Amazon Personalize sets and Endcap leaves open."""

    model_config = SettingsConfigDict(env_prefix="ENGINE_", extra="ignore", frozen=True)
    service: ClassVar[str] = "engine"

    port: int = Field(8007, description="HTTP port; the worker's probes listen on port + 100")
    postgres: PostgresSettings = Field(default_factory=lambda: PostgresSettings.of("engine"))
    kafka: KafkaSettings = Field(default_factory=lambda: KafkaSettings.of("engine"))
    s3: S3Settings = Field(default_factory=lambda: S3Settings.of("engine"))
    auth: AuthSettings = Field(default_factory=lambda: AuthSettings.of("engine"))

    account: str = Field("000000000000", pattern=r"^\d{12}$", description="the account that bootstrap makes")
    strict: bool = Field(
        False,
        description="fail where Amazon Personalize does for too little data, instead of warning",
    )
    max_dataset_groups: int = Field(500, ge=1, description="dataset groups of an account")
    max_schemas: int = Field(500, ge=1, description="schemas of an account")
    max_solutions: int = Field(100, ge=1, description="solutions of a dataset group")
    max_campaigns: int = Field(100, ge=1, description="campaigns of a dataset group")
    max_recommenders: int = Field(100, ge=1, description="recommenders of a dataset group")
    max_filters: int = Field(200, ge=1, description="filters of a dataset group")
    max_import_bytes: int = Field(10 * 2**30, ge=1, description="CSV files of one dataset import, together")
    max_import_rows: int = Field(100_000_000, ge=1, description="rows of one dataset import")
    max_pending_imports: int = Field(
        100, description="import jobs of a dataset group that wait or run at once"
    )
    max_pending_versions: int = Field(
        100, description="solution versions of a dataset group that wait or train at once"
    )
    max_pending_batches: int = Field(
        100,
        description="batch jobs of a kind and a dataset group that wait or run at once",
    )
    max_pending_exports: int = Field(
        100, description="dataset export jobs of a dataset group that wait or run at once"
    )
    max_pending_deletions: int = Field(
        100, description="data deletion jobs of a dataset group that wait or run at once"
    )
    compute: Literal["local", "spark"] = Field(
        "local", description="where trainings add up and batches answer: this machine, or Spark"
    )
    spark_master: str = Field("local[*]", description="Spark's master, with ENGINE_COMPUTE=spark")
    worker_concurrency: int = Field(
        2,
        ge=1,
        description="jobs of one tenant that one worker does side by side; it does one more of other tenants",
    )
    job_threads: int = Field(
        1,
        ge=1,
        description="cores that a job's linear algebra keeps busy; raise it where few jobs have many cores",
    )
    work_folder: Path = Field(
        Path(tempfile.gettempdir()) / "endcap-engine",
        description="local disk (no tmpfs) for what a job downloads and writes, in a training up to 80 bytes "
        "for each interaction; emptied after each job",
    )
    keep_models: int = Field(
        5,
        ge=1,
        description="of each solution so many newest models stay, and those in use",
    )
    erasure_services: tuple[str, ...] = Field(
        ("tracker", "sync", "trainer", "loader", "recommender", "router"),
        description="services that must confirm a data deletion job before it is COMPLETED, as a JSON array",
    )
    renewal_minutes: float = Field(
        30.0,
        description="with performIncrementalUpdate a model is made anew so often at the most",
    )
    garbage_hours: float = Field(
        24.0, description="how long replaced datasets and deleted models stay readable"
    )

    def limit_threads(self) -> None:
        """Tell processes that this one starts how many threads to use.

        Threads of a library that wait for each other do so busily: beside other jobs, two of them take
        several times the processor time of one.
        """
        for name in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS"):
            os.environ[name] = str(self.job_threads)
