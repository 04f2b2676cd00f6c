"""The settings of sync."""

from __future__ import annotations

from dataclasses import fields
from typing import ClassVar

from pydantic import Field, SecretStr
from pydantic_settings import SettingsConfigDict

from services.sync.domain.limits import Limits, Quotas
from shared.settings import (
    AuthSettings,
    Block,
    KafkaSettings,
    PostgresSettings,
    S3Settings,
    ServiceSettings,
)

SERVICE = "sync"


class LoadSettings(Block):
    """The service to which the command `load` sends a file, and its API keys."""

    endcap_sync_url: str = Field("http://127.0.0.1:8002", description="URL of a running sync")
    endcap_catalogue_key: SecretStr | None = Field(None, description="an API key with the scope catalogue")
    endcap_admin_key: SecretStr | None = Field(None, description="used if there is no catalogue key")


class Settings(ServiceSettings):
    """Settings of sync's processes; the variables begin with SYNC_."""

    service: ClassVar[str] = SERVICE
    model_config = SettingsConfigDict(env_prefix="SYNC_", extra="ignore", frozen=True)

    port: int = Field(8002, description="HTTP port; worker + 100, relay + 200")
    max_upload_bytes: int = Field(2 * 2**30, ge=1, description="maximum size of a posted file")
    sweep_seconds: float = Field(
        300.0, gt=0, description="interval of listing the uploads, in case a notice was lost"
    )
    keep_files_days: float = Field(
        7.0, ge=0, description="how long a posted file is kept after its import has ended"
    )
    keep_rejects_days: float = Field(
        30.0, ge=0, description="how long rejected rows are kept after their import has ended"
    )
    max_webhook_bytes: int = Field(2 * 2**20, ge=1, description="maximum size of the body of a webhook")
    allow_internal_sources: bool = Field(
        False, description="sources may be at loopback and private addresses"
    )
    source_folder: str | None = Field(
        None, description="folder below which sources of the kind folder may read"
    )
    pull_concurrency: int = Field(2, ge=1, description="sources that a worker asks at a time")
    keep_deliveries_days: float = Field(
        14.0, ge=0, description="how long a merged webhook is kept; those that failed stay as long as rejects"
    )
    max_kept_rejects: int = Field(
        10_000, ge=0, description="rejected rows of an import that are stored; further ones are only counted"
    )
    max_kept_reject_bytes: int = Field(
        8 * 2**20, ge=0, description="size of the stored rejected rows of an import"
    )
    max_unpacked_bytes: int = Field(4 * 2**30, ge=1, description="maximum size of a decompressed file")
    max_unpack_ratio: int = Field(
        100, ge=1, description="maximum compression ratio of a gzip file, beyond its first MiB"
    )
    max_import_rows: int = Field(50_000_000, ge=1, lt=2**31 - 1, description="maximum lines of one file")
    max_pending_imports: int = Field(
        100, ge=1, description="queued and running imports of a tenant; more are answered with 429"
    )
    import_concurrency: int = Field(
        4, ge=1, description="imports that a worker runs at a time, each of a different tenant"
    )
    max_items: int = Field(1_000_000, ge=1, description="items of a tenant; more are rejected")
    max_users: int = Field(10_000_000, ge=1, description="users of a tenant; more are rejected")
    chunk_rows: int = Field(5_000, ge=1, description="rows of a file in one transaction")
    kafka: KafkaSettings = Field(default_factory=lambda: KafkaSettings.of(SERVICE))
    postgres: PostgresSettings = Field(default_factory=lambda: PostgresSettings.of(SERVICE))
    s3: S3Settings = Field(default_factory=lambda: S3Settings.of(SERVICE))
    auth: AuthSettings = Field(default_factory=lambda: AuthSettings.of(SERVICE))
    load: LoadSettings = Field(default_factory=lambda: LoadSettings.of(SERVICE))

    def limits(self) -> Limits:
        """Return the limits of one file."""
        return Limits(**{field.name: getattr(self, field.name) for field in fields(Limits)})

    def quotas(self) -> Quotas:
        """Return the quotas of a tenant's items and users."""
        return Quotas(self.max_items, self.max_users)
