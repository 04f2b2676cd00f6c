"""Composition root of the loader: its processes, and the handler of each topic."""

from __future__ import annotations

from fastapi import FastAPI

from services.loader.api import generations as api
from services.loader.api import quality
from services.loader.api.dynamodb import DynamoDb
from services.loader.domain import Limits
from services.loader.handlers import Handlers
from services.loader.settings import Settings
from services.loader.store import (
    Activations,
    Caches,
    Erasures,
    Files,
    GenerationCleanup,
    Generations,
    Quality,
)
from services.loader.store.list_tables import ListTables
from services.loader.worker import LoadJob, QualityMeasurement, RedisFollower
from shared import redis, s3
from shared.auth import Authenticator
from shared.aws_server import JsonServices
from shared.events.topics import BATCHES, CACHES, ERASURE_RECEIPTS, ERASURES
from shared.http.runtime import application
from shared.jobs import JobWorker
from shared.kafka import Consumer, Publisher
from shared.outbox import Relay
from shared.periodic_task import PeriodicTask
from shared.postgres import Database

DESCRIPTION = "Generations of recommendations: what is served, what was refused and why, and rollback."


def build(settings: Settings) -> FastAPI:
    """Return the HTTP process. It needs only Postgres; Redis follows."""
    database = Database(settings.postgres, "loader")
    requests = database.for_requests()
    authenticator = Authenticator(requests, settings.auth)
    operations = api.Operations(
        database=requests,
        generations=Generations(requests),
        activations=Activations(requests),
        caches=Caches(redis.client(settings.redis), requests),
    )
    tables = DynamoDb(requests, ListTables(requests), settings.s3.aws_region)
    return application(
        "loader",
        parts=[database, authenticator],
        routers=[
            api.router(authenticator, operations),
            quality.router(authenticator, Quality(requests)),
            JsonServices(authenticator, [tables.service()]).router(),
        ],
        description=DESCRIPTION,
        http=settings.http,
    )


def worker(settings: Settings) -> FastAPI:
    """Return the worker: load jobs, the Redis follower, the cleanup and the outbox relay."""
    database = Database(settings.postgres, "loader")
    generations, activations = Generations(database), Activations(database)
    client = redis.client(settings.redis)
    caches, erasures = Caches(client, database), Erasures(client, database)
    load_job = LoadJob(
        database=database,
        generations=generations,
        activations=activations,
        caches=caches,
        erasures=erasures,
        files=Files(s3.client(settings.s3)),
        limits=Limits(
            least_share_of_last=settings.least_share_of_last,
            most_unknown_items=settings.most_unknown_items,
            most_rejected_lines=settings.most_rejected_lines,
        ),
    )
    jobs = JobWorker(
        database,
        {"load": load_job.run},
        failed=load_job.failed,
        concurrency=settings.load_concurrency,
    )
    handlers = Handlers(generations, erasures, settings.s3.endcap_data_bucket)
    consumer = Consumer(settings.kafka, "loader")
    consumer.subscribe(BATCHES, handlers.batches)
    consumer.subscribe(ERASURES, handlers.erasures_requested)
    publisher = Publisher(settings.kafka, "loader", [CACHES, ERASURE_RECEIPTS])
    follower = RedisFollower(activations, caches)
    cleanup = GenerationCleanup(database, caches, keep=settings.keep_generations)
    measurement = QualityMeasurement(Quality(database), settings.coverage_seconds)
    return application(
        "loader",
        parts=[
            database,
            publisher,
            Relay(database, publisher),
            PeriodicTask("redis-follower", follower.run, seconds=settings.follow_seconds),
            PeriodicTask("cleaner", cleanup.run, seconds=settings.clean_seconds),
            PeriodicTask("quality", measurement.run, seconds=settings.quality_seconds),
            jobs,
            consumer,
        ],
    )
