"""What the tracker is made of, and which topic goes to which handler."""

from __future__ import annotations

from typing import TYPE_CHECKING

from services.tracker.api import (
    Intake,
    backend_routes,
    native_routes,
    personalize_operations,
    reading_routes,
)
from services.tracker.handlers import Handlers
from services.tracker.store import Datasets, Erasures, Rooms, Store, Tenants
from shared.auth import Authenticator
from shared.events import TrackerChanged
from shared.events.topics import ERASURE_RECEIPTS, ERASURES, INTERACTIONS, ORDERS, PUTS, TRACKERS
from shared.http.fast_path import AwsFastPath, FastPathApplication
from shared.http.runtime import application
from shared.kafka import Consumer, Publisher, StateTable
from shared.observability import tracing
from shared.postgres import Database

if TYPE_CHECKING:
    from fastapi import FastAPI

    from services.tracker.settings import Settings

STORE_SECONDS = 0.1
"""People and trainings read the log: one transaction for many events is worth more than some milliseconds."""

DESCRIPTION = "Takes what users do in a shop, in each wire format, and keeps it once."


def build(settings: Settings) -> FastPathApplication:
    """The HTTP process: events in, confirmed by Kafka."""
    database = Database(settings.postgres, "tracker")
    publisher = Publisher(settings.kafka, "tracker", [INTERACTIONS, PUTS])
    requests = database.for_requests()
    authenticator = Authenticator(requests, settings.auth)
    tenants = Tenants(requests)
    trackers: StateTable[TrackerChanged] = StateTable(settings.kafka, TRACKERS, tenants.tracker_changed)
    intake = Intake(publisher, authenticator, settings)
    operations = personalize_operations(
        intake,
        tenants,
        Datasets(requests),
        Rooms(requests),
        authenticator,
        settings.max_put_events_per_second,
    )

    app = application(
        "tracker",
        parts=[database, publisher, trackers, authenticator],
        routers=[
            native_routes(intake),
            backend_routes(intake),
            operations.router(),
            reading_routes(Store(requests), authenticator),
        ],
        description=DESCRIPTION,
        http=settings.http,
    )
    return FastPathApplication(tracing.TracedRequests(AwsFastPath(app, operations)), app, settings.http)


def worker(settings: Settings) -> FastAPI:
    """The process that turns orders into purchases, and stores what happened."""
    database = Database(settings.postgres, "tracker")
    publisher = Publisher(settings.kafka, "tracker", [INTERACTIONS, ERASURE_RECEIPTS])
    handlers = Handlers(Store(database), publisher, Erasures(database, publisher))

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
    return application("tracker-worker", parts=[database, publisher, consumer], description=DESCRIPTION)
