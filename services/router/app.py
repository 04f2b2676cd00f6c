"""The router's processes, which handler reads which topic, and the command that applies a file."""

from __future__ import annotations

import argparse
import asyncio
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import orjson
from pydantic import ValidationError

from services.router.api.experiments import ExperimentRoutes
from services.router.api.front_ends import FrontEnds
from services.router.api.graphql import GraphqlRoutes
from services.router.api.lifecycle import LifecycleRoutes
from services.router.api.off_policy import OffPolicyRoutes
from services.router.api.personalize_runtime import PersonalizeRuntime
from services.router.api.proxy import ProxyRoutes, RestFastPath
from services.router.api.results import ResultRoutes
from services.router.commands.simulate import simulate
from services.router.domain.experiments import Definition
from services.router.handlers import Handlers
from services.router.store.accounts import Accounts
from services.router.store.bandit_sums import BanditStore
from services.router.store.change_log import Author
from services.router.store.erasures import Erasures
from services.router.store.experiments import Experiments
from services.router.store.interleaved_answers import InterleavedAnswers
from services.router.store.metric_sums import MetricStore
from services.router.store.old_answers import OldAnswers
from services.router.store.outcome_counts import OutcomeCounts
from services.router.store.outcomes import OutcomeStore
from services.router.store.results import DesignStores, StoredResults
from services.router.store.rewards import RewardStore
from services.router.store.running_experiments import RunningExperiments
from services.router.store.shadows import ShadowStore
from services.router.store.upstream import Upstream
from services.router.store.windows import WindowStore
from services.router.worker import Bandits, Monitor
from shared.auth import Authenticator
from shared.errors import ApiError
from shared.events.topics import ERASURE_RECEIPTS, ERASURES, EXPERIMENTS, EXPOSURES, INTERACTIONS, SERVINGS
from shared.http.fast_path import FastPathApplication, RawFastPath
from shared.http.runtime import application
from shared.kafka import Consumer, Publisher
from shared.observability import tracing
from shared.outbox import Relay
from shared.periodic_task import PeriodicTask
from shared.postgres import Database

if TYPE_CHECKING:
    from fastapi import FastAPI

    from services.router.settings import Settings


COMMAND = Author("command")
"""The author of changes from a shell of the server."""

OF_EXPERIMENTS = (b'"picked_by":', b'"shadow":')
"""Texts of the records with an interleaved or a shadow answer; the worker decodes no other servings."""

OLD_ANSWERS_SECONDS = 3_600.0
"""Seconds between deletions of old answers. Arbitrary."""
GATHER_SECONDS = 0.1
"""Interactions are gathered into one batch for this long: each batch may read the running experiments."""


def build(settings: Settings) -> FastPathApplication:
    """Return the process that answers requests."""
    database = Database(settings.postgres, "router")
    requests = database.for_requests()
    authenticator = Authenticator(requests, settings.auth)
    upstream = Upstream(settings.upstream.endcap_recommender_url, settings.auth, settings.upstream_seconds)
    previews = Upstream(
        settings.upstream.endcap_recommender_url, settings.auth, settings.preview_seconds, "previews"
    )
    experiments = Experiments(requests, settings)
    running = RunningExperiments(experiments, settings.poll_seconds)
    runtime = PersonalizeRuntime(upstream, running, Accounts(requests), authenticator)
    designs = DesignStores(
        InterleavedAnswers(requests, settings),
        BanditStore(requests, settings),
        WindowStore(requests, settings),
        ShadowStore(requests, settings),
    )
    results = StoredResults(requests, MetricStore(requests, settings.results_seconds), designs)
    app = application(
        "router",
        parts=[database, authenticator, upstream, previews, running],
        routers=[
            ExperimentRoutes(experiments, OutcomeCounts(requests, settings), running, authenticator).router(),
            LifecycleRoutes(experiments, results, running, authenticator).router(),
            ResultRoutes(experiments, results, authenticator).router(),
            OffPolicyRoutes(experiments, RewardStore(requests, settings), previews, authenticator).router(),
            runtime.routes.router(),
            GraphqlRoutes(upstream, authenticator).router(),
            ProxyRoutes(upstream, previews, authenticator).router(),
        ],
        description="Experiments and their results; recommendations of the recommender.",
        http=settings.http,
    )
    front_ends = FrontEnds(runtime.routes, upstream, authenticator)
    front = tracing.TracedRequests(RawFastPath(app, front_ends, of_pages=True))
    direct = RestFastPath(upstream, authenticator).direct
    return FastPathApplication(front, app, settings.http, direct=direct, direct_posts=[front_ends])


def worker(settings: Settings) -> FastAPI:
    """Return the process that records outcomes and publishes experiments."""
    database = Database(settings.postgres, "router")
    experiments = Experiments(database, settings)
    running = RunningExperiments(experiments, settings.poll_seconds)
    publisher = Publisher(settings.kafka, "router", [EXPERIMENTS, ERASURE_RECEIPTS], essential=False)
    interleaved = InterleavedAnswers(database, settings)
    windows, shadows = WindowStore(database, settings), ShadowStore(database, settings)
    handlers = Handlers(
        OutcomeStore(database), running, Erasures(database, publisher), interleaved, windows, shadows
    )
    consumer = Consumer(settings.kafka, "router")
    consumer.subscribe(EXPOSURES, handlers.variants_exposed)
    consumer.subscribe(SERVINGS, handlers.recommendations_served, only=OF_EXPERIMENTS)
    consumer.subscribe(ERASURES, handlers.erasures_requested)
    consumer.subscribe(INTERACTIONS, handlers.interactions_recorded, batch=2_000, gather=GATHER_SECONDS)
    rewards = BanditStore(database, settings)
    results = StoredResults(
        database,
        MetricStore(database, settings.count_seconds),
        DesignStores(interleaved, rewards, windows, shadows),
    )
    monitor = Monitor(experiments, results)
    check = PeriodicTask("monitor", monitor.check, seconds=settings.monitor_seconds)
    bandits = Bandits(experiments, rewards)
    periods = PeriodicTask("bandits", bandits.check, seconds=settings.bandit_seconds)
    old = OldAnswers(database, settings.answers_days)
    tasks = [check, periods, PeriodicTask("old-answers", old.delete, seconds=OLD_ANSWERS_SECONDS)]
    return application(
        "router", parts=[database, publisher, Relay(database, publisher), running, *tasks, consumer]
    )


def run_simulation(_: Settings, arguments: list[str]) -> int:
    """Send visitors with a known effect through the running services; return the exit code."""
    return simulate(arguments)


def apply(settings: Settings, arguments: list[str]) -> int:
    """Define the experiments of a JSON file, and start those with `"running": true`; return the exit code.

    The file holds one experiment or an array of them, in the format of POST /v1/experiments. Applying it
    again changes nothing. The exit code is 2 if it is invalid, and 1 if an experiment cannot be started.
    """
    parser = argparse.ArgumentParser(prog="python -m services.router apply")
    parser.add_argument("file", type=Path)
    parser.add_argument("--tenant", default="default")
    options = parser.parse_args(arguments)
    try:
        document = orjson.loads(options.file.read_bytes())
        definitions = [
            (bool(entry.pop("running", False)), Definition.model_validate(entry))
            for entry in (document if isinstance(document, list) else [document])
        ]
    except (OSError, ValueError, AttributeError, ValidationError) as error:
        sys.stderr.write(f"{options.file}: {error}\n")
        return 2
    return asyncio.run(_apply(settings, options.tenant, definitions))


async def _apply(settings: Settings, tenant: str, definitions: list[tuple[bool, Definition]]) -> int:
    database = Database(settings.postgres, "router")
    await database.start()
    experiments = Experiments(database, settings)
    try:
        for runs, definition in definitions:
            version, is_new = await experiments.define(tenant, definition, COMMAND)
            if runs and version.status == "draft":
                version = await experiments.change(tenant, definition.name, "start", COMMAND)
            change = "new" if is_new else "as before"
            sys.stdout.write(f"{version.name} version {version.version} ({change}): {version.status}\n")
    except ApiError as error:
        sys.stderr.write(f"{error.detail}\n")
        return 1
    finally:
        await database.stop()
    return 0
