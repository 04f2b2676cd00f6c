"""Composition root of the trainer: its processes, and the handler of each topic."""

from __future__ import annotations

from datetime import timedelta
from functools import partial

import httpx
from fastapi import FastAPI

from services.trainer.api import runs as runs_api
from services.trainer.api import schedules as schedules_api
from services.trainer.api import shop_models
from services.trainer.api.aws import Callers
from services.trainer.api.logs import Logs, cloudwatch
from services.trainer.api.step_functions import StepFunctions
from services.trainer.handlers import Handlers
from services.trainer.schedule import INTERVAL_SECONDS, ScheduledRuns
from services.trainer.settings import Settings
from services.trainer.store import (
    Erasures,
    Executions,
    Files,
    LogEvents,
    Personalize,
    Runs,
    Schedules,
    ShopImports,
    Snapshots,
)
from services.trainer.worker import FileCleanup, FileErasure, OverlaySteps, RunJob, Steps, by_kind
from services.trainer.worker.import_wait import ImportWait
from services.trainer.worker.offset_barrier import OffsetBarrier
from shared import s3
from shared.auth import Authenticator
from shared.aws import PageTokens
from shared.aws_server import JsonServices
from shared.events.topics import BATCHES, ERASURE_RECEIPTS, ERASURES, TRAINING_REQUESTS
from shared.http.runtime import application
from shared.jobs import JobWorker
from shared.kafka import Consumer, Publisher, committed, end_offsets
from shared.outbox import Relay
from shared.periodic_task import PeriodicTask
from shared.postgres import Database

ERASURE_INTERVAL_SECONDS = 5.0

DESCRIPTION = (
    "Training runs: request or schedule them, and follow their steps from the snapshot to the lists; also as "
    "executions of AWS Step Functions."
)


def build(settings: Settings, sync: httpx.AsyncBaseTransport | None = None) -> FastAPI:
    """Return the HTTP process. It needs only Postgres, and sync for executions with a file.

    `sync` replaces the network to sync in tests.
    """
    database = Database(settings.postgres, "trainer")
    requests = database.for_requests()
    authenticator = Authenticator(requests, settings.auth)
    secret = settings.auth.endcap_secret_key
    tokens = PageTokens(secret.get_secret_value() if secret else None)
    runs, callers = Runs(requests), Callers(requests, settings.s3.aws_region)
    imports = ShopImports(settings, sync)
    services = [
        StepFunctions(callers, Executions(requests, runs), imports, tokens, settings.role_arn).service(),
        Logs(callers, LogEvents(requests), tokens).service(),
        cloudwatch(),
    ]
    return application(
        "trainer",
        parts=[database, authenticator, imports],
        routers=[
            runs_api.router(authenticator, runs),
            schedules_api.router(authenticator, Schedules(requests, runs)),
            shop_models.router(authenticator, runs, amazon=settings.amazon),
            JsonServices(authenticator, services).router(),
        ],
        description=DESCRIPTION,
        http=settings.http,
    )


def worker(settings: Settings) -> FastAPI:
    """Return the worker: runs, schedules, the deletion of files and the outbox relay."""
    database = Database(settings.postgres, "trainer")
    runs, imports = Runs(database), ShopImports(settings)
    files = Files(s3.client(settings.s3), settings.s3.endcap_data_bucket)
    steps = Steps(
        settings=settings,
        runs=runs,
        files=files,
        snapshots=Snapshots(database, files),
        personalize=Personalize(settings),
        import_wait=ImportWait(
            Executions(database, runs), imports, timedelta(minutes=settings.import_minutes)
        ),
        barrier=OffsetBarrier(
            ends=partial(end_offsets, settings.kafka),
            committed=partial(committed, settings.kafka),
            max_wait=timedelta(minutes=settings.wait_minutes),
        ),
    )
    run_job = RunJob(
        runs,
        by_kind(steps.by_name(), OverlaySteps(steps).by_name()),
        settings.s3.endcap_data_bucket,
        steps.stop_training,
        settings.max_run_minutes,
    )
    cleanup = FileCleanup(runs, files, settings.keep_runs)
    catch_up = timedelta(minutes=settings.catch_up_minutes)
    scheduled = ScheduledRuns(Schedules(database, runs), settings.schedule, catch_up)
    consumer = Consumer(settings.kafka, "trainer")
    erasures = Erasures(database)
    handlers = Handlers(runs, erasures)
    erasure = FileErasure(runs, files, erasures, settings.load_seconds)
    consumer.subscribe(TRAINING_REQUESTS, handlers.training_requests)
    consumer.subscribe(ERASURES, handlers.erasures_requested)
    publisher = Publisher(settings.kafka, "trainer", [BATCHES, ERASURE_RECEIPTS])
    return application(
        "trainer",
        parts=[
            database,
            imports,
            publisher,
            Relay(database, publisher),
            PeriodicTask("schedule", scheduled.run, seconds=INTERVAL_SECONDS),
            PeriodicTask("waiting-runs", runs.start_queued, seconds=INTERVAL_SECONDS),
            PeriodicTask("erasing", erasure.run, seconds=ERASURE_INTERVAL_SECONDS),
            PeriodicTask("cleaning", cleanup.run, seconds=INTERVAL_SECONDS),
            JobWorker(
                database, {"run": run_job.run}, failed=run_job.failed, concurrency=settings.concurrency
            ),
            consumer,
        ],
    )
