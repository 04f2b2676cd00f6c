"""Build the processes of analytics, map each topic to its handler, and the command that checks figures."""

from __future__ import annotations

import argparse
import asyncio
import csv
import sys
from functools import partial
from typing import TYPE_CHECKING, Any

from services.analytics.api import (
    AttributionRule,
    CollaborativeRoutes,
    LoginRoutes,
    MetricsRoutes,
    ReportFileRoutes,
    ReportReader,
    ShopReportRoutes,
    SqlRoutes,
)
from services.analytics.api.athena import Athena
from services.analytics.api.athena_catalogue import Catalogue
from services.analytics.domain.lake_tables import TABLES
from services.analytics.domain.sql import Query, checked
from services.analytics.handlers import Handlers
from services.analytics.store import (
    Audit,
    Counting,
    Erasures,
    Lake,
    LakeCheck,
    LakeMaintenance,
    LakeWriter,
    OrderReports,
    QueryExecutions,
    QueryExecutor,
    QueryRunner,
    Reports,
    Retention,
)
from services.analytics.store.freshness import show_newest_events
from services.analytics.store.order_reports import JOB
from services.analytics.worker import ReportComputation
from shared.auth import Authenticator
from shared.aws import PageTokens
from shared.aws_server import JsonServices
from shared.errors import ApiError
from shared.events.topics import BATCHES, ERASURE_RECEIPTS, ERASURES, INTERACTIONS, SERVINGS
from shared.http.runtime import Part, application
from shared.jobs import JobWorker
from shared.kafka import Consumer, Publisher
from shared.periodic_task import PeriodicTask
from shared.postgres import Database

if TYPE_CHECKING:
    from fastapi import FastAPI

    from services.analytics.settings import Settings

DESCRIPTION = "What recommendations showed, and what followed; reports of orders; SQL over events."

GATHER_SECONDS = 0.2
"""Records are collected into one transaction for this long; people look at figures, who can wait."""
BATCH = 1_000
FRESHNESS_SECONDS = 15.0
"""Interval of reading the newest events for the gauge; that of Prometheus's usual scrapes."""
MAX_LISTED = 50
"""Differences that `check` prints; arbitrary."""


def build(settings: Settings) -> FastAPI:
    """Return the HTTP process. It needs only Postgres."""
    database = Database(settings.postgres, "analytics")
    authenticator = Authenticator(database.for_requests(), settings.auth)
    rule = AttributionRule(window_days=settings.attribution_days, touch=settings.attribution_touch)
    reading = database.for_requests(settings.report_seconds)
    runner = QueryRunner(reading, Lake(settings.s3), settings)
    executions = QueryExecutions(database)
    executor = QueryExecutor(runner, executions, settings)
    catalogue = Catalogue(database.for_requests(), runner, executions, settings.s3)
    secret = settings.auth.endcap_secret_key
    tokens = PageTokens(secret.get_secret_value() if secret else None)
    athena = Athena(catalogue, executions, executor, authenticator, tokens, settings.s3)
    reader = ReportReader(OrderReports(reading), authenticator, settings.report_wait_seconds)
    return application(
        "analytics",
        parts=[database, authenticator, executor],
        routers=[
            MetricsRoutes(Reports(reading), authenticator, rule).router(),
            SqlRoutes(runner, authenticator).router(),
            CollaborativeRoutes(reader).router(),
            ShopReportRoutes(reader).router(),
            ReportFileRoutes(reader).router(),
            LoginRoutes(authenticator).router(),
            JsonServices(authenticator, [athena.service(), catalogue.glue()]).router(),
        ],
        description=DESCRIPTION,
        http=settings.http,
    )


def worker(settings: Settings) -> FastAPI:
    """Return the process that counts answers and events."""
    database = Database(settings.postgres, "analytics")
    publisher = Publisher(settings.kafka, "analytics", [ERASURE_RECEIPTS], essential=False)
    lake = Lake(settings.s3)
    writer = LakeWriter(database, lake)
    reports = OrderReports(database)
    erasures = Erasures(database, publisher, settings, writer)
    handlers = Handlers(Counting(database, settings), erasures, reports)
    computation = ReportComputation(reports, settings)
    consumer = Consumer(settings.kafka, "analytics")
    consumer.subscribe(SERVINGS, handlers.recommendations_served, batch=BATCH, gather=GATHER_SECONDS)
    consumer.subscribe(INTERACTIONS, handlers.interactions_recorded, batch=BATCH, gather=GATHER_SECONDS)
    # Each rewrites files of the lake: of more at once, a poll might take longer than the watchdog waits.
    consumer.subscribe(ERASURES, handlers.erasures_requested, batch=10)
    consumer.subscribe(BATCHES, handlers.batches)
    for table in TABLES:
        consumer.subscribe(
            table.topic,
            partial(writer.write, table),
            purpose="lake",
            batch=settings.lake_batch,
            gather=settings.lake_seconds,
            positions=True,
        )
    retention = PeriodicTask(
        "retention", Retention(database, settings).run, seconds=settings.retention_seconds
    )
    maintenance = PeriodicTask(
        "lake-maintenance",
        LakeMaintenance(database, lake, settings).run,
        seconds=settings.lake_maintenance_seconds,
    )
    freshness = PeriodicTask("freshness", partial(show_newest_events, database), seconds=FRESHNESS_SECONDS)
    nights = PeriodicTask("report-nights", computation.queue_night, seconds=settings.retention_seconds)
    jobs = JobWorker(database, {JOB: computation.run}, per_tenant=1)
    parts: list[Part] = [database, publisher, retention, maintenance, freshness, nights, jobs, consumer]
    return application("analytics-worker", parts=parts, description=DESCRIPTION)


def check(settings: Settings, arguments: list[str]) -> int:
    """Compare figures with a count of all facts; print differences, and correct them with `--repair`.

    Return the exit code: 0 if there is no difference, else 1.
    """
    parser = argparse.ArgumentParser(prog="python -m services.analytics check", description=check.__doc__)
    parser.add_argument("--tenant", help="only this tenant; all by default")
    parser.add_argument("--repair", action="store_true", help="replace figures that differ by the count")
    options = parser.parse_args(arguments)
    return asyncio.run(_check(settings, options.tenant, repair=options.repair))


async def _check(settings: Settings, tenant: str | None, *, repair: bool) -> int:
    database = Database(settings.postgres, "analytics")
    await database.start()
    audit = Audit(database, settings)
    count = 0
    try:
        tenants = [tenant] if tenant else await audit.tenants()
        for name in tenants:
            differences = await audit.check(name, repair=repair)
            for each in differences[:MAX_LISTED]:
                sys.stdout.write(
                    f"{each.tenant} {each.begins_at:%Y-%m-%dT%H:%MZ} {each.name}: "
                    f"facts {each.counted}, stored {each.stored}\n"
                )
            count += len(differences)
    finally:
        await database.stop()
    corrected = ", corrected" if repair and count else ""
    sys.stdout.write(f"tenants: {len(tenants)}, differences: {count}{corrected}\n")
    return 1 if count else 0


def lake(settings: Settings, arguments: list[str]) -> int:
    """Compare the event lake with Kafka's log, or compact it.

    Return the exit code: 0, or 1 if a record of the log is not in the lake.
    """
    parser = argparse.ArgumentParser(prog="python -m services.analytics lake", description=lake.__doc__)
    parser.add_argument("action", choices=("check", "compact"))
    parser.add_argument("--tenant", default="default")
    options = parser.parse_args(arguments)
    return asyncio.run(_lake(settings, options.action, options.tenant))


async def _lake(settings: Settings, action: str, tenant: str) -> int:
    database, tables = Database(settings.postgres, "analytics"), Lake(settings.s3)
    await database.start()
    missing = 0
    try:
        for table in TABLES:
            if action == "compact":
                result = await LakeMaintenance(database, tables, settings).maintain(tenant, table.name)
                sys.stdout.write(f"{table.name}: {result}\n")
                continue
            compared = await LakeCheck(database, tables, settings).compare(tenant, table)
            missing += compared.missing
            sys.stdout.write(
                f"{table.name}: log {compared.in_log}, lake {compared.in_lake}, "
                f"missing {compared.missing}, repeated {compared.repeated}\n"
            )
    finally:
        await database.stop()
    return 1 if missing else 0


def sql(settings: Settings, arguments: list[str]) -> int:
    """Run one SELECT over a tenant's events and catalogue, and print the rows as CSV.

    Return the exit code: 0, or 1 for a query that is refused or fails.
    """
    parser = argparse.ArgumentParser(prog="python -m services.analytics sql", description=sql.__doc__)
    parser.add_argument(
        "query", help="the tables are interactions, orders, order_items, servings, exposures, …"
    )
    parser.add_argument("--tenant", default="default")
    parser.add_argument("--dialect", choices=("trino", "duckdb"), default="trino")
    parser.add_argument("--rows", type=int, default=10_000, help="rows beyond these are left out")
    options = parser.parse_args(arguments)
    try:
        query = checked(options.query, options.dialect)
        answer = asyncio.run(_sql(settings, options.tenant, query, options.rows))
    except ApiError as error:
        sys.stderr.write(f"{error.detail}\n")
        return 1
    writer = csv.writer(sys.stdout)
    writer.writerow(column["name"] for column in answer["columns"])
    writer.writerows(answer["rows"])
    if answer["truncated"]:
        sys.stderr.write(f"There are more than {options.rows} rows.\n")
    return 0


async def _sql(settings: Settings, tenant: str, query: Query, rows: int) -> dict[str, Any]:
    database = Database(settings.postgres, "analytics")
    await database.start()
    try:
        return await QueryRunner(database, Lake(settings.s3), settings).run(tenant, query, rows, "command")
    finally:
        await database.stop()
