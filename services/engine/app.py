"""The engine's processes: `serve` answers requests, `worker` runs jobs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from services.engine import schedule
from services.engine.api import buckets, dead_letters, functions, keys, placements, status, users
from services.engine.computations.launcher import ForkServer
from services.engine.handlers import Handlers
from services.engine.identity.operations import operations as identity_operations
from services.engine.jobs import attribution_scheduler, deadlines, garbage_collector, privacy_requests
from services.engine.jobs.attribution_scheduler import AttributionScheduler
from services.engine.jobs.deadlines import Deadlines
from services.engine.jobs.garbage_collector import GarbageCollector
from services.engine.jobs.privacy_requests import PrivacyRequests
from services.engine.jobs.registry import EngineJobs
from services.engine.personalize.dispatcher import OperationDispatcher
from services.engine.personalize.manager import Manager
from services.engine.schedule import AutoTraining
from services.engine.store.copies import Copies
from services.engine.store.dead_letters import DeadLetters
from services.engine.store.objects import ObjectStorage
from shared.auth import Authenticator
from shared.aws import PageTokens
from shared.aws_server import Json11, Query
from shared.events.topics import CAMPAIGNS, ERASURE_RECEIPTS, ERASURES, FILTERS, PLACEMENTS, TRACKERS
from shared.http.runtime import application
from shared.jobs import JobWorker
from shared.kafka import Consumer, DeadLetterReader, Publisher
from shared.outbox import Relay
from shared.periodic_task import PeriodicTask
from shared.postgres import Database

if TYPE_CHECKING:
    from fastapi import FastAPI

    from services.engine.settings import Settings


DESCRIPTION = (
    "The control plane of Amazon Personalize, the status of its jobs, placements, keys and dead letters."
)


def build(settings: Settings) -> FastAPI:
    """Return the application of the control plane."""
    database = Database(settings.postgres, "engine")
    requests = database.for_requests()
    authenticator = Authenticator(requests, settings.auth)
    secret = settings.auth.endcap_secret_key
    tokens = PageTokens(secret.get_secret_value() if secret else None)
    dispatcher = OperationDispatcher(requests, settings, tokens)
    letters = DeadLetters(database, DeadLetterReader(settings.kafka, "engine"), settings.kafka)
    owners = settings.owners
    copies = Copies(
        requests, owners.endcap_recommender_url, owners.endcap_analytics_url, settings.count_seconds
    )
    forms = Query(authenticator, identity_operations(requests, settings))
    operations = dispatcher.operations()
    manager = Manager({operation.name: operation for operation in operations})
    return application(
        "engine",
        parts=[database, authenticator, letters],
        routers=[
            Json11(authenticator, operations, forms=forms).router(),
            functions.router(authenticator, manager),
            status.router(requests, authenticator, settings),
            placements.router(requests, authenticator, settings),
            keys.router(requests, authenticator, settings),
            buckets.router(requests, authenticator, settings),
            dead_letters.router(letters, authenticator),
            users.router(requests, letters, copies, authenticator),
        ],
        description=DESCRIPTION,
        http=settings.http,
    )


def worker(settings: Settings) -> FastAPI:
    """Return the application of a worker, which runs jobs, publishes the outbox and cleans up."""
    database = Database(settings.postgres, "engine")
    settings.limit_threads()
    jobs, training = EngineJobs(database, settings), AutoTraining(database, settings)
    collector = GarbageCollector(database, ObjectStorage.of(settings.s3), settings)
    privacy = PrivacyRequests(database, settings)
    scheduler = AttributionScheduler(database, settings.garbage_hours)
    publisher = Publisher(settings.kafka, "engine", [CAMPAIGNS, ERASURES, FILTERS, PLACEMENTS, TRACKERS])
    consumer = Consumer(settings.kafka, "engine")
    consumer.subscribe(ERASURE_RECEIPTS, Handlers(database).users_erased)
    return application(
        "engine",
        parts=[
            database,
            publisher,
            Relay(database, publisher),
            ForkServer(),
            # One job more than a tenant may run at once, so that no tenant waits for another tenant's jobs.
            JobWorker(
                database,
                jobs.handlers,
                failed=jobs.failed,
                concurrency=settings.worker_concurrency + 1,
                per_tenant=settings.worker_concurrency,
            ),
            PeriodicTask("auto-training", training.begin_due, seconds=schedule.EVERY_SECONDS),
            PeriodicTask("privacy-requests", privacy.begin_due, seconds=privacy_requests.EVERY_SECONDS),
            PeriodicTask("sweeper", collector.run, seconds=garbage_collector.INTERVAL_SECONDS),
            PeriodicTask("counting", scheduler.run, seconds=attribution_scheduler.INTERVAL_SECONDS),
            PeriodicTask("deadlines", Deadlines(database).run, seconds=deadlines.INTERVAL_SECONDS),
            consumer,
        ],
    )
