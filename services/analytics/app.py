"""Build the processes of analytics, map each topic to its handler, and the command that checks figures."""

from __future__ import annotations

import argparse
import asyncio
import sys
from typing import TYPE_CHECKING

from services.analytics.api import AttributionRule, MetricsRoutes
from services.analytics.handlers import Handlers
from services.analytics.store import Audit, Counting, Erasures, Reports, Retention
from shared.auth import Authenticator
from shared.events.topics import ERASURE_RECEIPTS, ERASURES, INTERACTIONS, SERVINGS
from shared.http.runtime import application
from shared.kafka import Consumer, Publisher
from shared.periodic_task import PeriodicTask
from shared.postgres import Database

if TYPE_CHECKING:
    from fastapi import FastAPI

    from services.analytics.settings import Settings

DESCRIPTION = "What recommendations showed, and what followed: clicks, conversions, attributed revenue."

GATHER_SECONDS = 0.2
"""Records are collected into one transaction for this long; people look at figures, who can wait."""
BATCH = 1_000
MAX_LISTED = 50
"""Differences that `check` prints; arbitrary."""


def build(settings: Settings) -> FastAPI:
    """Return the HTTP process. It needs only Postgres."""
    database = Database(settings.postgres, "analytics")
    authenticator = Authenticator(database.for_requests(), settings.auth)
    rule = AttributionRule(window_days=settings.attribution_days, touch=settings.attribution_touch)
    reports = Reports(database.for_requests(settings.report_seconds))
    return application(
        "analytics",
        parts=[database, authenticator],
        routers=[MetricsRoutes(reports, authenticator, rule).router()],
        description=DESCRIPTION,
        http=settings.http,
    )


def worker(settings: Settings) -> FastAPI:
    """Return the process that counts answers and events."""
    database = Database(settings.postgres, "analytics")
    publisher = Publisher(settings.kafka, "analytics", [ERASURE_RECEIPTS], essential=False)
    handlers = Handlers(Counting(database, settings), Erasures(database, publisher, settings))
    consumer = Consumer(settings.kafka, "analytics")
    consumer.subscribe(SERVINGS, handlers.recommendations_served, batch=BATCH, gather=GATHER_SECONDS)
    consumer.subscribe(INTERACTIONS, handlers.interactions_recorded, batch=BATCH, gather=GATHER_SECONDS)
    consumer.subscribe(ERASURES, handlers.erasures_requested)
    retention = PeriodicTask(
        "retention", Retention(database, settings).run, seconds=settings.retention_seconds
    )
    return application(
        "analytics-worker", parts=[database, publisher, retention, consumer], description=DESCRIPTION
    )


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
