"""The router's processes, who hears which topic, and the command that applies a file."""

from __future__ import annotations

import argparse
import asyncio
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import orjson
from pydantic import ValidationError

from services.router.api.experiments import Routes
from services.router.api.passing import Passing, RestFastPath
from services.router.api.routing import Routing
from services.router.api.runtime import Runtime
from services.router.domain.experiments import Definition
from services.router.handlers import Handlers
from services.router.store.accounts import Accounts
from services.router.store.counting import Counting
from services.router.store.erasures import Erasures
from services.router.store.experiments import Experiments
from services.router.store.exposures import Exposures
from services.router.store.running import Running
from services.router.store.upstream import Upstream
from shared.auth import Authenticator
from shared.errors import ApiError
from shared.events.topics import ERASURE_RECEIPTS, ERASURES, EXPOSURES, INTERACTIONS
from shared.http.fast_path import AwsFastPath, FastPathApplication
from shared.http.runtime import application
from shared.kafka import Consumer, Publisher
from shared.observability import tracing
from shared.postgres import Database

if TYPE_CHECKING:
    from fastapi import FastAPI

    from services.router.settings import Settings


COUNT_SECONDS = 0.1
"""Results are read by people: each call of the handler asks Postgres what runs, so it gets many events."""


def build(settings: Settings) -> FastPathApplication:
    """The process that routes."""
    database = Database(settings.postgres, "router")
    requests = database.for_requests()
    authenticator = Authenticator(requests, settings.auth)
    upstream = Upstream(settings.upstream.endcap_recommender_url, settings.auth, settings.upstream_seconds)
    publisher = Publisher(settings.kafka, "router", [EXPOSURES], essential=False)
    exposures = Exposures(publisher, settings.exposures_kept)
    experiments = Experiments(requests, settings)
    running = Running(experiments, settings.poll_seconds)
    routing = Routing(running, upstream, exposures)
    runtime = Runtime(routing, upstream, running, Accounts(requests), authenticator)
    app = application(
        "router",
        parts=[database, authenticator, publisher, exposures, upstream, running],
        routers=[
            Routes(experiments, running, authenticator).router(),
            runtime.routes.router(),
            Passing(routing, authenticator).router(),
        ],
        description="Recommendations by variant; experiments and their results.",
        http=settings.http,
    )
    front = RestFastPath(AwsFastPath(app, runtime.routes), routing, authenticator)
    return FastPathApplication(tracing.TracedRequests(front), app, settings.http)


def worker(settings: Settings) -> FastAPI:
    """The process that counts."""
    database = Database(settings.postgres, "router")
    running = Running(Experiments(database, settings), settings.poll_seconds)
    publisher = Publisher(settings.kafka, "router", [ERASURE_RECEIPTS], essential=False)
    handlers = Handlers(Counting(database), running, Erasures(database, publisher))
    consumer = Consumer(settings.kafka, "router")
    consumer.subscribe(EXPOSURES, handlers.variants_exposed)
    consumer.subscribe(ERASURES, handlers.erasures_requested)
    consumer.subscribe(INTERACTIONS, handlers.interactions_recorded, batch=2_000, gather=COUNT_SECONDS)
    return application("router", parts=[database, publisher, running, consumer])


def apply(settings: Settings, arguments: list[str]) -> int:
    """Define the experiments of a JSON file, and start those that say `"running": true`.

    The file holds one experiment or an array of them, as POST /v1/experiments takes them. Applying it
    twice changes nothing; 2 when it can't be read, 1 when an experiment can't be started.
    """
    parser = argparse.ArgumentParser(prog="python -m services.router apply")
    parser.add_argument("file", type=Path)
    parser.add_argument("--tenant", default="default")
    given = parser.parse_args(arguments)
    try:
        document = orjson.loads(given.file.read_bytes())
        wanted = [
            (bool(one.pop("running", False)), Definition.model_validate(one))
            for one in (document if isinstance(document, list) else [document])
        ]
    except (OSError, ValueError, AttributeError, ValidationError) as error:
        sys.stderr.write(f"{given.file}: {error}\n")
        return 2
    return asyncio.run(_apply(settings, given.tenant, wanted))


async def _apply(settings: Settings, tenant: str, wanted: list[tuple[bool, Definition]]) -> int:
    database = Database(settings.postgres, "router")
    await database.start()
    experiments = Experiments(database, settings)
    try:
        for runs, definition in wanted:
            found, is_new = await experiments.define(tenant, definition)
            if runs and found.status == "draft":
                found = await experiments.start(tenant, definition.name)
            said = "new" if is_new else "as before"
            sys.stdout.write(f"{found.name} version {found.version} ({said}): {found.status}\n")
    except ApiError as error:
        sys.stderr.write(f"{error.detail}\n")
        return 1
    finally:
        await database.stop()
    return 0
