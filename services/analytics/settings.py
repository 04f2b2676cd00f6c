"""The settings of analytics."""

from __future__ import annotations

from datetime import timedelta
from typing import ClassVar, Literal

from pydantic import Field
from pydantic_settings import SettingsConfigDict

from services.analytics.domain.customer_classes import SPENT
from services.analytics.domain.report_set import ReportRules
from services.analytics.domain.selections import folded
from shared.settings import AuthSettings, KafkaSettings, PostgresSettings, S3Settings, ServiceSettings


class Settings(ServiceSettings):
    """Addresses, the rules of attribution, and retention."""

    model_config = SettingsConfigDict(env_prefix="ANALYTICS_", extra="ignore", frozen=True)
    service: ClassVar[str] = "analytics"

    port: int = Field(8008, description="HTTP port; the worker's probes listen on port + 100")
    attribution_days: float = Field(
        7.0, gt=0, le=14, description="days after a click in which a purchase of the item is attributed to it"
    )
    attribution_touch: Literal["last", "first"] = Field(
        "last", description="the click before a purchase that the purchase is attributed to: last or first"
    )
    click_types: frozenset[str] = Field(
        frozenset(("click", "view", "add_to_cart", "wishlist")),
        description="types of events that count as a click on an answer whose id they name, as a JSON array",
    )
    facts_days: int = Field(
        15,
        ge=15,
        description="age in days up to which events and answers are counted; more than Kafka keeps their "
        "topics (14 days). Single facts are kept for as long, and twice attribution_days more",
    )
    hours_days: int = Field(100, ge=1, description="days for which figures of hours are kept")
    days_days: int = Field(1_830, ge=1, description="days for which figures of days are kept")
    retention_seconds: float = Field(600.0, gt=0, description="interval of deleting what is older")
    report_seconds: float = Field(10.0, gt=0, description="time limit of reading the figures of a request")
    lake_seconds: float = Field(
        10.0,
        gt=0,
        le=30,
        description="seconds for which records are collected into one file of the event lake",
    )
    lake_batch: int = Field(
        20_000,
        ge=1,
        description="most records that the event lake gets at once, in a file for each of their days",
    )
    lake_files: int = Field(
        200,
        ge=2,
        description="new files after which those of a table of the event lake are joined at any hour",
    )
    lake_maintenance_seconds: float = Field(
        60.0, gt=0, description="interval of looking for tables of the event lake to maintain"
    )
    lake_hour: int = Field(3, ge=0, le=23, description="hour of the day, UTC, of maintaining the event lake")
    lake_days: int = Field(
        730, ge=15, description="days for which the event lake keeps events, by their time"
    )
    lake_history_days: int | None = Field(
        None,
        ge=15,
        description="the same for imported history, which is old when it comes; it is kept by default",
    )
    reports_hour: int = Field(
        2, ge=0, le=23, description="hour of the day, UTC, from which the reports of the night are computed"
    )
    report_wait_seconds: float = Field(
        20.0,
        gt=0,
        le=50,
        description="seconds for which a request waits for a report that has not been computed yet",
    )
    report_spending: tuple[float, float, float, float] = Field(
        SPENT,
        description="spending from which customers have the value scores 5, 4, 3 and 2, as a JSON array",
    )
    report_regions: dict[str, str] = Field(
        {}, description="region of each province in reports, as a JSON object; others are Unknown"
    )
    sql_seconds: float = Field(30.0, gt=0, description="time limit of a SQL query")
    sql_memory_megabytes: int = Field(1_024, ge=64, description="memory limit of a SQL query")
    sql_disk_megabytes: int = Field(
        4_096,
        ge=0,
        description="what a SQL query may put on disk (in TMPDIR, else /tmp) when its memory is used up",
    )
    sql_concurrency: int = Field(2, ge=1, description="SQL queries that a process runs at the same time")
    sql_catalogue_rows: int = Field(
        1_000_000, ge=1, description="most items or users that a SQL query can read; above it the query fails"
    )
    sql_result_rows: int = Field(
        100_000, ge=1, description="most rows of a result of Athena's clients; a query with more fails"
    )
    sql_result_days: float = Field(
        1.0, gt=0, description="days for which results of Athena's clients are kept"
    )
    postgres: PostgresSettings = Field(default_factory=lambda: PostgresSettings.of("analytics"))
    s3: S3Settings = Field(default_factory=lambda: S3Settings.of("analytics"))
    kafka: KafkaSettings = Field(default_factory=lambda: KafkaSettings.of("analytics"))
    auth: AuthSettings = Field(default_factory=lambda: AuthSettings.of("analytics"))

    @property
    def report_rules(self) -> ReportRules:
        """Return what the shop decides about reports."""
        regions = {folded(province): region for province, region in self.report_regions.items()}
        return ReportRules(self.report_spending, regions)

    @property
    def facts_kept(self) -> timedelta:
        """Return the age beyond which events and answers are not counted."""
        return timedelta(days=self.facts_days)

    @property
    def attribution_window(self) -> timedelta:
        """Return the longest time from a click to a purchase that is attributed to it."""
        return timedelta(days=self.attribution_days)
