"""The engine's processes: `serve` answers requests, `worker` runs jobs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from services.engine import api, schedule
from services.engine.computations.launcher import Forks
from services.engine.handlers import Handlers
from services.engine.jobs import attribution_scheduler, garbage_collector
from services.engine.jobs.attribution_scheduler import Counting
from services.engine.jobs.garbage_collector import Sweeper
from services.engine.jobs.registry import Work
from services.engine.personalize.dispatcher import OperationDispatcher
from services.engine.schedule import AutoTraining
from services.engine.store.objects import Objects
from shared.auth import Authenticator
from shared.aws import PageTokens
from shared.aws_server import Json11
from shared.events.topics import CAMPAIGNS, ERASURE_RECEIPTS, ERASURES, FILTERS, TRACKERS
from shared.http.runtime import application
from shared.jobs import JobWorker
from shared.kafka import Consumer, Publisher
from shared.outbox import Relay
from shared.periodic_task import PeriodicTask
from shared.postgres import Database

if TYPE_CHECKING:
    from fastapi import FastAPI

    from services.engine.settings import Settings


def build(settings: Settings) -> FastAPI:
    """Return the application of the control plane."""
    database = Database(settings.postgres, "engine")
    requests = database.for_requests()
    authenticator = Authenticator(requests, settings.auth)
    secret = settings.auth.endcap_secret_key
    tokens = PageTokens(secret.get_secret_value() if secret else None)
    dispatcher = OperationDispatcher(requests, settings, tokens)
    return application(
        "engine",
        parts=[database, authenticator],
        routers=[
            Json11(authenticator, dispatcher.operations()).router(),
            api.router(requests, authenticator, settings),
        ],
        description="The control plane of Amazon Personalize, and the status of its jobs.",
        http=settings.http,
    )


def worker(settings: Settings) -> FastAPI:
    """Return the application of a worker, which runs jobs, publishes the outbox and cleans up."""
    database = Database(settings.postgres, "engine")
    work, training = Work(database, settings), AutoTraining(database, settings)
    settings.limit_threads()
    sweeping = Sweeper(database, Objects.of(settings.s3), settings)
    publisher = Publisher(settings.kafka, "engine", [CAMPAIGNS, ERASURES, FILTERS, TRACKERS])
    consumer = Consumer(settings.kafka, "engine")
    consumer.subscribe(ERASURE_RECEIPTS, Handlers(database).users_erased)
    return application(
        "engine",
        parts=[
            database,
            publisher,
            Relay(database, publisher),
            Forks(),
            # One job more than a tenant may run at once, so that no tenant waits for another tenant's jobs.
            JobWorker(
                database,
                work.handlers,
                failed=work.failed,
                concurrency=settings.worker_concurrency + 1,
                per_tenant=settings.worker_concurrency,
            ),
            PeriodicTask("auto-training", training.begin_due, seconds=schedule.EVERY_SECONDS),
            PeriodicTask("sweeper", sweeping.sweep, seconds=garbage_collector.EVERY_SECONDS),
            PeriodicTask(
                "counting",
                Counting(database, settings.garbage_hours).look,
                seconds=attribution_scheduler.EVERY_SECONDS,
            ),
            consumer,
        ],
    )
