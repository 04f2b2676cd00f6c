"""Settings of the trainer."""

from __future__ import annotations

from typing import ClassVar, Self

from pydantic import Field, field_validator, model_validator
from pydantic_settings import SettingsConfigDict

from services.trainer.domain.run_options import DEFAULT_VIP_SHARE, DEFAULT_WINDOW_DAYS
from services.trainer.domain.schedules import Cron
from shared.settings import AuthSettings, Block, KafkaSettings, PostgresSettings, S3Settings, ServiceSettings


class PersonalizeSettings(Block):
    """The endpoint of the Personalize API: the engine, or Amazon Personalize."""

    aws_endpoint_url_personalize: str | None = Field(
        "http://127.0.0.1:8007", description="empty for Amazon Personalize (see amazon)"
    )


class SyncSettings(Block):
    """The service that imports the files of executions."""

    endcap_sync_url: str = Field("http://127.0.0.1:8002", description="URL of sync")


class Settings(ServiceSettings):
    """Settings of the trainer: the default schedule, its runs and its connections."""

    model_config = SettingsConfigDict(env_prefix="TRAINER_", extra="ignore", frozen=True)
    service: ClassVar[str] = "trainer"

    port: int = Field(8003, description="HTTP port; the worker's probes listen on port + 100")
    schedule: str = Field(
        "0 2 * * *",
        description="cron expression in UTC of the default schedule, for tenants without one of their own; "
        "empty for none",
    )
    catch_up_minutes: float = Field(
        1440, ge=0, description="how late a scheduled run may still start if no worker was running in time"
    )
    vip_share: float = Field(
        DEFAULT_VIP_SHARE, gt=0, le=1, description="customers whose lists a VIP run renews, by spending"
    )
    vip_window_days: int = Field(
        DEFAULT_WINDOW_DAYS, ge=1, description="days up to the newest purchase in which spending counts"
    )
    max_run_minutes: float | None = Field(
        None, gt=0, description="a run that takes longer is stopped; empty for no limit"
    )
    wait_minutes: float = Field(
        10, gt=0, description="how long a run waits until the rows of an import are stored"
    )
    import_minutes: float = Field(
        120, gt=0, description="how long a run waits until the import of an execution's file has ended"
    )
    keep_runs: int = Field(5, ge=1, description="runs of a tenant whose files are kept")
    list_length: int = Field(25, ge=1, le=500, description="items in a list of a user or an item")
    popular_length: int = Field(100, ge=1, le=500, description="items in a popularity list")
    popular_half_life_days: float = Field(
        30, gt=0, description="age at which a user's interest counts half in popularity"
    )
    role_arn: str = Field(
        "arn:aws:iam::000000000000:role/endcap",
        description="role by which Amazon Personalize reads and writes the bucket; the engine ignores it",
    )
    amazon: bool = Field(
        False, description="train on Amazon Personalize, which costs money; the endpoint must be empty"
    )
    amazon_campaigns: bool = Field(
        False, description="keep a campaign on Amazon Personalize too, which costs money by the hour"
    )
    poll_seconds: float = Field(0.3, gt=0, description="interval of polling the engine")
    amazon_poll_seconds: float = Field(30, gt=0, description="interval of polling Amazon Personalize")
    longest_poll_hours: float = Field(
        12, gt=0, description="a training or batch job that takes longer fails the run"
    )
    load_seconds: float = Field(
        120.0,
        ge=0,
        description="how long a finished run keeps its files for the loader when users are erased",
    )
    concurrency: int = Field(2, ge=1, description="runs (of different tenants) at a time in a worker")
    postgres: PostgresSettings = Field(default_factory=lambda: PostgresSettings.of("trainer"))
    s3: S3Settings = Field(default_factory=lambda: S3Settings.of("trainer"))
    kafka: KafkaSettings = Field(default_factory=lambda: KafkaSettings.of("trainer"))
    auth: AuthSettings = Field(default_factory=lambda: AuthSettings.of("trainer"))
    personalize: PersonalizeSettings = Field(default_factory=lambda: PersonalizeSettings.of("trainer"))
    sync: SyncSettings = Field(default_factory=lambda: SyncSettings.of("trainer"))

    @field_validator("schedule")
    @classmethod
    def _is_cron(cls, expression: str) -> str:
        if expression:
            Cron(expression).check()
        return expression

    @model_validator(mode="after")
    def _check_endpoint(self) -> Self:
        """Require both settings to agree: a missing variable must not lead to Amazon Personalize."""
        if bool(self.personalize.aws_endpoint_url_personalize) == self.amazon:
            message = (
                "AWS_ENDPOINT_URL_PERSONALIZE is set and so is TRAINER_AMAZON: leave one of them out"
                if self.amazon
                else "AWS_ENDPOINT_URL_PERSONALIZE is empty: give the engine's address, or set "
                "TRAINER_AMAZON=true to train on Amazon Personalize"
            )
            raise ValueError(message)
        return self
