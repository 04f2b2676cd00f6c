"""Composition root: what the trainer is made of, and which topic goes where."""

from __future__ import annotations

from datetime import timedelta
from functools import partial

from fastapi import FastAPI

from services.trainer import api
from services.trainer.handlers import Handlers
from services.trainer.schedule import LOOK_SECONDS, Schedule
from services.trainer.settings import Settings
from services.trainer.store import Erasures, Files, Personalize, Runs, Schedules, Snapshots
from services.trainer.worker import Cleaning, Erasing, Running, Steps
from services.trainer.worker.waiting import Waiting
from shared import s3
from shared.auth import Authenticator
from shared.events.topics import BATCHES, ERASURE_RECEIPTS, ERASURES, TRAINING_REQUESTS
from shared.http.runtime import application
from shared.jobs import JobWorker
from shared.kafka import Consumer, Publisher, committed, end_offsets
from shared.outbox import Relay
from shared.periodic_task import PeriodicTask
from shared.postgres import Database

ERASE_SECONDS = 5.0

DESCRIPTION = "Training runs: ask for one, and watch its steps from snapshot to finished lists."


def build(settings: Settings) -> FastAPI:
    """The HTTP process. It needs Postgres alone."""
    database = Database(settings.postgres, "trainer")
    requests = database.for_requests()
    authenticator = Authenticator(requests, settings.auth)
    return application(
        "trainer",
        parts=[database, authenticator],
        routers=[api.router(authenticator, Runs(requests))],
        description=DESCRIPTION,
        http=settings.http,
    )


def worker(settings: Settings) -> FastAPI:
    """The process that runs, keeps the schedule, and relays."""
    database = Database(settings.postgres, "trainer")
    runs = Runs(database)
    files = Files(s3.client(settings.s3), settings.s3.endcap_data_bucket)
    steps = Steps(
        settings=settings,
        runs=runs,
        files=files,
        snapshots=Snapshots(database, files),
        personalize=Personalize(settings),
        waiting=Waiting(
            ends=partial(end_offsets, settings.kafka),
            committed=partial(committed, settings.kafka),
            longest=timedelta(minutes=settings.wait_minutes),
        ),
    )
    running = Running(runs, steps.by_name(), settings.s3.endcap_data_bucket)
    cleaning = Cleaning(runs, files, settings.keep_runs)
    catch_up = timedelta(minutes=settings.catch_up_minutes)
    schedule = Schedule(settings.schedule, catch_up, Schedules(database, runs).ask)
    consumer = Consumer(settings.kafka, "trainer")
    erasures = Erasures(database)
    handlers = Handlers(runs, erasures)
    erasing = Erasing(runs, files, erasures, settings.load_seconds)
    consumer.subscribe(TRAINING_REQUESTS, handlers.training_requests)
    consumer.subscribe(ERASURES, handlers.erasures_requested)
    publisher = Publisher(settings.kafka, "trainer", [BATCHES, ERASURE_RECEIPTS])
    return application(
        "trainer",
        parts=[
            database,
            publisher,
            Relay(database, publisher),
            PeriodicTask("schedule", schedule.look_now, seconds=LOOK_SECONDS),
            PeriodicTask("waiting-runs", runs.start_waiting, seconds=LOOK_SECONDS),
            PeriodicTask("erasing", erasing.erase, seconds=ERASE_SECONDS),
            PeriodicTask("cleaning", cleaning.clean, seconds=LOOK_SECONDS),
            JobWorker(
                database, {"run": running.run}, failed=running.failed, concurrency=settings.concurrency
            ),
            consumer,
        ],
    )
