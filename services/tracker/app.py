"""Build the tracker's processes, and map each topic to its handler."""

from __future__ import annotations

from typing import TYPE_CHECKING

from services.tracker.api import (
    Collector,
    Intake,
    client_routes,
    client_settings_routes,
    event_routes,
    log_routes,
    personalize_operations,
    rule_routes,
    track_routes,
)
from services.tracker.api.events import ROUTE
from services.tracker.api.front_end_events import FrontEndEvents
from services.tracker.domain.formats import CLIENT_ROUTES
from services.tracker.handlers import Handlers
from services.tracker.store import (
    CatalogueQuotas,
    Datasets,
    Erasures,
    IntakeRulesTable,
    InteractionLog,
    Retention,
    Tenants,
    retention,
)
from shared.auth import Authenticator
from shared.events import TrackerChanged
from shared.events.topics import ERASURE_RECEIPTS, ERASURES, INTERACTIONS, ORDERS, PUTS, TRACKERS
from shared.http.fast_path import FastPathApplication, RawFastPath
from shared.http.runtime import Part, application
from shared.kafka import Consumer, Publisher, StateTable
from shared.observability import tracing
from shared.periodic_task import PeriodicTask
from shared.postgres import Database

if TYPE_CHECKING:
    from fastapi import FastAPI

    from services.tracker.settings import Settings

STORE_SECONDS = 0.1
"""Seconds to collect events for one transaction. The log is read by people and trainings, which can wait."""

DESCRIPTION = "Records what users do in a shop, in several wire formats, and stores each event once."


def build(settings: Settings) -> FastPathApplication:
    """Return the HTTP process, which publishes events to Kafka."""
    database = Database(settings.postgres, "tracker")
    publisher = Publisher(settings.kafka, "tracker", [INTERACTIONS, PUTS])
    requests = database.for_requests()
    authenticator = Authenticator(requests, settings.auth)
    tenants = Tenants(requests)
    trackers: StateTable[TrackerChanged] = StateTable(settings.kafka, TRACKERS, tenants.tracker_changed)
    rules = IntakeRulesTable(requests)
    intake = Intake(publisher, authenticator, settings, rules)
    collector = Collector(intake, authenticator, (ROUTE, *CLIENT_ROUTES))
    operations = personalize_operations(
        intake,
        tenants,
        Datasets(requests),
        CatalogueQuotas(requests),
        authenticator,
        settings.max_put_events_per_second,
    )

    app = application(
        "tracker",
        parts=[database, publisher, trackers, authenticator],
        routers=[
            event_routes(collector),
            client_routes(collector, CLIENT_ROUTES),
            client_settings_routes(authenticator),
            track_routes(intake),
            operations.router(),
            log_routes(InteractionLog(requests), authenticator),
            rule_routes(rules, authenticator),
        ],
        description=DESCRIPTION,
        http=settings.http,
    )
    front_ends = FrontEndEvents(operations, intake, authenticator)
    front = RawFastPath(RawFastPath(app, front_ends, of_pages=True), collector, of_pages=True)
    return FastPathApplication(
        tracing.TracedRequests(front), app, settings.http, direct_posts=(collector, front_ends)
    )


def worker(settings: Settings) -> FastAPI:
    """Return the process that converts orders into purchases, and stores events."""
    database = Database(settings.postgres, "tracker")
    publisher = Publisher(settings.kafka, "tracker", [INTERACTIONS, ERASURE_RECEIPTS])
    handlers = Handlers(InteractionLog(database), publisher, Erasures(database, publisher))

    consumer = Consumer(settings.kafka, "tracker")
    consumer.subscribe(ORDERS, handlers.orders_changed, purpose="orders")
    consumer.subscribe(ERASURES, handlers.erasures_requested, purpose="erasures")
    consumer.subscribe(
        INTERACTIONS,
        handlers.interactions_recorded,
        purpose="store",
        batch=settings.store_batch,
        gather=STORE_SECONDS,
    )
    parts: list[Part] = [database, publisher, consumer]
    if settings.keep_events_days is not None:
        clean = Retention(database, settings.keep_events_days).clean
        parts.append(PeriodicTask("cleaning", clean, seconds=retention.EVERY_SECONDS))
    return application("tracker-worker", parts=parts, description=DESCRIPTION)
