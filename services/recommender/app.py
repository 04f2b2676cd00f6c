"""The recommender's processes, and who hears which topic."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from services.recommender.api.answers import Answers
from services.recommender.api.explorer import Explorer
from services.recommender.api.filtering import ItemFilters
from services.recommender.api.live import Live
from services.recommender.api.rest import Rest
from services.recommender.api.rest_fast_path import RestFastPath
from services.recommender.api.runtime import Runtime
from services.recommender.api.selection import Selection
from services.recommender.api.status import Status
from services.recommender.api.targets import Targets
from services.recommender.domain.erased import Erased
from services.recommender.domain.pointers import Pointers
from services.recommender.handlers import Handlers
from services.recommender.store.budget import Budget
from services.recommender.store.campaigns import Campaigns
from services.recommender.store.erasures import Erasures
from services.recommender.store.filters import Filters
from services.recommender.store.histories import Histories, Kept
from services.recommender.store.impression_counts import ImpressionCounts
from services.recommender.store.lists import Guarded, Lists
from services.recommender.store.overflow import Overflow
from services.recommender.store.places import Places
from services.recommender.store.popular import Popular
from services.recommender.store.profiles import Profiles
from services.recommender.store.refill import Refill
from services.recommender.store.states import Catalogues, Pointing
from shared import s3
from shared.auth import Authenticator
from shared.events import CacheRefreshed, CampaignChanged, FilterChanged, ItemChanged, UserErasureRequested
from shared.events.topics import (
    CACHES,
    CAMPAIGNS,
    ERASURE_RECEIPTS,
    ERASURES,
    FILTERS,
    INTERACTIONS,
    ITEMS,
    USERS,
)
from shared.http.fast_path import AwsFastPath, FastPathApplication
from shared.http.runtime import application
from shared.kafka import Consumer, Publisher, StateTable
from shared.observability import tracing
from shared.postgres import Database
from shared.redis import Multiplexer

if TYPE_CHECKING:
    from fastapi import FastAPI

    from services.recommender.settings import Settings

FOLLOW_SECONDS = 0.03
"""A visitor's events of one moment come to Redis together; far less than the next page takes to ask."""

WORKER_REDIS_SECONDS = 5.0
"""A worker would rather wait than do its work twice."""


def build(settings: Settings) -> FastPathApplication:
    """The process that answers."""
    database = Database(settings.postgres, "recommender")
    requests = database.for_requests()
    guarded = Guarded(requests, settings.postgres_milliseconds / 1000)
    redis = Multiplexer(settings.redis, timeout=settings.redis_milliseconds / 1000)
    authenticator = Authenticator(requests, settings.auth)

    pointers = Pointers()
    lists = Lists(redis, guarded, settings.bought_for)
    popular = Popular(lists, pointers)
    pointing = Pointing(pointers, redis, database, popular, settings.pointer_seconds)
    catalogues = Catalogues(database, Overflow(settings.models_folder))
    campaigns = Campaigns(
        s3.client(settings.s3), settings.models_folder, guarded, catalogues, settings.models_kept
    )

    caches = StateTable[CacheRefreshed](settings.kafka, CACHES, pointing.changed)
    items = StateTable[ItemChanged](settings.kafka, ITEMS, catalogues.changed, catalogues.whole, keep=False)
    deployed = StateTable[CampaignChanged](settings.kafka, CAMPAIGNS, campaigns.changed, campaigns.whole)
    filters = Filters(guarded)
    filtering = StateTable[FilterChanged](settings.kafka, FILTERS, filters.changed, filters.whole)
    catalogues.follow(items)
    erased = Erased()
    erasing = StateTable[UserErasureRequested](settings.kafka, ERASURES, erased.changed, keep=False)

    answers = Answers(lists, popular, catalogues, pointers, pointing)
    profiles = Profiles(redis, guarded, settings.bought_for)
    item_filters = ItemFilters(filters, profiles)
    targets = Targets(campaigns)
    explorer = Explorer(ImpressionCounts(redis))
    selection = Selection(profiles, lists, popular, catalogues, pointers, item_filters, explorer, erased)
    live = Live(targets, selection, catalogues, pointers)
    status = Status(pointers, catalogues, campaigns, lambda: redis.up)
    runtime = Runtime(targets, selection, item_filters, catalogues, explorer, authenticator)
    app = application(
        "recommender",
        parts=[
            database, redis, authenticator,
            caches, items, deployed, filtering, erasing,
            pointing, catalogues, campaigns,
        ],
        routers=[
            Rest(answers, live, status, authenticator).router(),
            runtime.routes.router(),
        ],
        description="Recommendations for users, items and places; the runtime API of Amazon Personalize.",
        http=settings.http,
    )  # fmt: skip
    front = RestFastPath(AwsFastPath(app, runtime.routes), answers, authenticator)
    return FastPathApplication(tracing.TracedRequests(front), app, settings.http)


def worker(settings: Settings) -> FastAPI:
    """The process that keeps histories and purchases."""
    database = Database(settings.postgres, "recommender")
    redis = Multiplexer(settings.redis, timeout=WORKER_REDIS_SECONDS, essential=True)
    kept = Kept(
        bought=settings.bought_for,
        history=timedelta(days=settings.history_days),
        session=timedelta(days=settings.session_days),
    )
    megabytes = settings.history_megabytes
    budget = Budget(redis, None if megabytes is None else megabytes * 2**20)
    histories = Histories(redis, kept, budget)
    places = Places(redis)
    publisher = Publisher(settings.kafka, "recommender", [ERASURE_RECEIPTS], essential=False)
    erased = Erased()
    erasing = StateTable[UserErasureRequested](settings.kafka, ERASURES, erased.changed, keep=False)
    handlers = Handlers(
        histories, places, ImpressionCounts(redis), settings.bought_for, erased, Erasures(redis, publisher)
    )
    consumer = Consumer(settings.kafka, "recommender")
    consumer.subscribe(INTERACTIONS, handlers.interactions_recorded, batch=2_000, gather=FOLLOW_SECONDS)
    consumer.subscribe(ERASURES, handlers.erasures_requested, purpose="erasures")
    consumer.subscribe(USERS, handlers.users_changed, purpose="users", batch=2_000)
    refill = Refill(redis, database, histories, places, kept)
    return application("recommender", parts=[database, redis, publisher, erasing, budget, refill, consumer])
