"""Build sync's processes, and map each topic to its handler."""

from __future__ import annotations

import gc
from functools import partial

from fastapi import FastAPI

from services.sync.api import (
    deliveries_router,
    imports_router,
    listings_router,
    objects_router,
    shop_router,
    sources_router,
    webhooks_router,
)
from services.sync.handlers import Handlers
from services.sync.settings import SERVICE, Settings
from services.sync.store import (
    Catalogue,
    Erasures,
    FilePlaces,
    Files,
    FollowedOrders,
    Imports,
    Inbox,
    Listings,
    Orders,
    Pulls,
    Sources,
    Staging,
)
from services.sync.store.imports import JOB
from services.sync.store.pulls import JOB as PULL
from services.sync.worker import (
    FileRuns,
    Importer,
    InboxReader,
    Puller,
    RecordMerge,
    Retention,
    Sweep,
    retention,
)
from shared import s3
from shared.auth import Authenticator
from shared.events.topics import (
    ERASURE_RECEIPTS,
    ERASURES,
    INTERACTIONS,
    ITEMS,
    ORDERS,
    PUTS,
    TRAINING_REQUESTS,
    UPLOADS,
    USERS,
)
from shared.http.runtime import application
from shared.jobs import JobWorker
from shared.kafka import Consumer, Publisher
from shared.outbox import Relay
from shared.periodic_task import PeriodicTask
from shared.postgres import Database

BACKLOG_SECONDS = 5.0
DUE_SECONDS = 5.0
QUOTA_SECONDS = 60.0
"""Seconds between writes of the quotas, since a worker with other settings may have written others."""


def build(settings: Settings) -> FastAPI:
    """Return the HTTP process, which accepts files and webhooks, and serves the state of the shop."""
    database = Database(settings.postgres, SERVICE)
    requests = database.for_requests()
    authenticator = Authenticator(requests, settings.auth)
    imports, inbox, files = Imports(requests), Inbox(requests), _files(settings)
    places = FilePlaces(requests, settings.s3, settings.source_folder)
    sources = Sources(requests, settings.auth.endcap_secret_key)
    return application(
        SERVICE,
        parts=[database, authenticator],
        routers=[
            imports_router(
                authenticator,
                imports,
                files,
                max_upload_bytes=settings.max_upload_bytes,
                max_pending_imports=settings.max_pending_imports,
            ),
            objects_router(
                authenticator, imports, files, places, max_pending_imports=settings.max_pending_imports
            ),
            webhooks_router(sources, inbox, max_bytes=settings.max_webhook_bytes),
            sources_router(authenticator, sources),
            deliveries_router(authenticator, sources, inbox, Pulls(requests)),
            listings_router(authenticator, Listings(requests)),
            shop_router(authenticator, Orders(requests), Catalogue(requests, settings.quotas())),
        ],
        description="Orders, items and users of the shop.",
        http=settings.http,
    )


def worker(settings: Settings) -> FastAPI:
    """Return the worker process, which runs imports, and merges puts and the inbox."""
    # The rows of a file are millions of short-lived objects without cycles. With the default thresholds,
    # garbage collection took half of an import's processor time.
    gc.set_threshold(100_000, 50, 100)
    database = Database(settings.postgres, SERVICE)
    imports, catalogue, files = Imports(database), Catalogue(database, settings.quotas()), _files(settings)
    erasures, inbox = Erasures(database), Inbox(database)
    pulls = Pulls(database)
    handlers = Handlers(database, imports, catalogue, files, erasures, pulls)
    importer = Importer(
        database,
        imports,
        Orders(database),
        Staging(database),
        catalogue,
        files,
        chunk_rows=settings.chunk_rows,
        limits=settings.limits(),
    )

    consumer = Consumer(settings.kafka, SERVICE)
    consumer.subscribe(PUTS, handlers.put)
    consumer.subscribe(UPLOADS, handlers.objects_created)
    consumer.subscribe(ERASURES, handlers.erasures_requested)

    jobs = JobWorker(
        database,
        {JOB: importer.run},
        failed=importer.failed,
        concurrency=settings.import_concurrency,
        per_tenant=1,
    )
    places = FilePlaces(database, settings.s3, settings.source_folder)
    file_runs = FileRuns(places, imports, pulls, files, max_bytes=settings.max_upload_bytes)
    sources = Sources(database, settings.auth.endcap_secret_key)
    puller = Puller(sources, pulls, file_runs, allow_internal=settings.allow_internal_sources)
    pull_jobs = JobWorker(
        database,
        {PULL: puller.run},
        failed=puller.failed,
        concurrency=settings.pull_concurrency,
        per_tenant=1,
    )
    sweep = Sweep(imports, files).sweep
    merge = RecordMerge(FollowedOrders(), catalogue, erasures)
    clean = Retention(imports, files, settings.keep_files_days, settings.keep_rejects_days).clean
    clean_inbox = partial(inbox.clean, settings.keep_deliveries_days, settings.keep_rejects_days)
    return application(
        SERVICE,
        parts=[
            database,
            consumer,
            jobs,
            pull_jobs,
            PeriodicTask(
                "pulls", pulls.begin_due, seconds=DUE_SECONDS, notices=partial(database.notices, "sources")
            ),
            InboxReader(database, inbox, merge),
            PeriodicTask("inbox-backlog", inbox.measure, seconds=BACKLOG_SECONDS),
            PeriodicTask("quotas", catalogue.publish_quotas, seconds=QUOTA_SECONDS),
            PeriodicTask("sweep", sweep, seconds=settings.sweep_seconds),
            PeriodicTask("cleaning", clean, seconds=retention.EVERY_SECONDS),
            PeriodicTask("inbox-cleaning", clean_inbox, seconds=retention.EVERY_SECONDS),
        ],
    )


def relay(settings: Settings) -> FastAPI:
    """Return the relay process, which publishes the rows of the outbox."""
    database = Database(settings.postgres, SERVICE)
    topics = [ORDERS, ITEMS, USERS, INTERACTIONS, TRAINING_REQUESTS, ERASURE_RECEIPTS]
    publisher = Publisher(settings.kafka, SERVICE, topics)
    return application(SERVICE, parts=[database, publisher, Relay(database, publisher)])


def _files(settings: Settings) -> Files:
    blocks = settings.s3
    return Files(
        s3.client(blocks), blocks.endcap_data_bucket, blocks.endcap_uploads_bucket, settings.limits()
    )
