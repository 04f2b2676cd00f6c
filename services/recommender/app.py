"""The recommender's processes: what they are made of, and which handler reads which topic."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from services.recommender.api.campaign_experiments import CampaignExperiments
from services.recommender.api.graphql.assembly import GraphqlApi
from services.recommender.api.graphql.fields import Fields
from services.recommender.api.personalize_runtime import PersonalizeRuntime
from services.recommender.api.placement_answers import PlacementAnswers
from services.recommender.api.placement_fast_path import PlacementFastPath
from services.recommender.api.placement_streams import PlacementStreams
from services.recommender.api.placements import PlacementRoutes
from services.recommender.api.rest import RestRoutes
from services.recommender.api.rest_answers import RestAnswers
from services.recommender.api.rest_fast_path import RestFastPath
from services.recommender.api.served import ServedRoutes
from services.recommender.api.shop_routes import ShopRoutes
from services.recommender.api.status import Status
from services.recommender.domain.activations import ActiveGenerations
from services.recommender.domain.erased_users import ErasedUsers
from services.recommender.domain.unclicked_impressions import FatigueTenants
from services.recommender.handlers import Handlers
from services.recommender.serving.experiments import Experiments
from services.recommender.serving.exploration import Explorer
from services.recommender.serving.filtering import ItemFilters
from services.recommender.serving.live_lists import LiveLists
from services.recommender.serving.pages import PagedRecommendations
from services.recommender.serving.placements.assembly import placement_engine
from services.recommender.serving.placements.strategies import Popular, StrategyParts
from services.recommender.serving.precomputed import PrecomputedRecommendations
from services.recommender.serving.recommender import Recommender
from services.recommender.serving.recorder import AnswerRecorder
from services.recommender.serving.targets import TargetResolver
from services.recommender.store.accounts import Accounts
from services.recommender.store.activations import ActivationFeed
from services.recommender.store.campaigns import Campaigns
from services.recommender.store.catalogues import Catalogues
from services.recommender.store.erasures import ErasureMarks, Erasures
from services.recommender.store.exposure_publisher import ExposurePublisher
from services.recommender.store.filters import Filters
from services.recommender.store.guarded_database import GuardedDatabase
from services.recommender.store.histories import Histories, Retention
from services.recommender.store.impression_counts import ImpressionCounts
from services.recommender.store.item_quotas import ItemQuotaCounts
from services.recommender.store.list_batches import ListBatches
from services.recommender.store.lists import Lists
from services.recommender.store.memory_budget import MemoryBudget
from services.recommender.store.override_copies import OverrideCopies
from services.recommender.store.overrides import OverrideLimits, Overrides
from services.recommender.store.placements import Placements
from services.recommender.store.popularity_lists import PopularityLists
from services.recommender.store.profiles import Profiles
from services.recommender.store.refill import Refill
from services.recommender.store.running_experiments import RunningExperiments
from services.recommender.store.spill_file import SpillFile
from services.recommender.store.subject_changes import SubjectChanges
from services.recommender.store.subject_feed import SubjectFeed
from services.recommender.store.trending import TrendCounts, Trending
from services.recommender.store.unclicked_impressions import UnclickedImpressions
from services.recommender.store.users import UserStates
from services.recommender.store.visitor_states import VisitorStates
from shared import s3
from shared.auth import Authenticator
from shared.events import (
    CacheRefreshed,
    CampaignChanged,
    ExperimentChanged,
    FilterChanged,
    ItemChanged,
    PlacementChanged,
    UserErasureRequested,
)
from shared.events.topics import (
    CACHES,
    CAMPAIGNS,
    ERASURE_RECEIPTS,
    ERASURES,
    EXPERIMENTS,
    EXPOSURES,
    FILTERS,
    INTERACTIONS,
    ITEMS,
    PLACEMENTS,
    SERVINGS,
    USERS,
)
from shared.http.fast_path import AwsFastPath, FastPathApplication
from shared.http.runtime import application
from shared.http.websockets import BoundedWebSocket
from shared.kafka import Consumer, Publisher, RecordReader, StateTable
from shared.observability import tracing
from shared.periodic_task import PeriodicTask
from shared.postgres import Database
from shared.redis import create_multiplexer

if TYPE_CHECKING:
    from fastapi import FastAPI

    from services.recommender.settings import Settings

GATHER_SECONDS = 0.03
"""Interactions are gathered into one batch for this long: less than until the visitor's next request."""

EXPIRY_SECONDS = 3600.0
"""Interval between deletions of expired overrides, which no answer contains; arbitrary."""

WORKER_REDIS_TIMEOUT_SECONDS = 5.0
"""A worker waits longer than a request, because a repeated batch costs more than the wait."""


def build(settings: Settings) -> FastPathApplication:
    """Return the process that answers requests."""
    database = Database(settings.postgres, "recommender")
    requests = database.for_requests()
    guarded = GuardedDatabase(requests, settings.postgres_milliseconds / 1000)
    redis = create_multiplexer(settings.redis, timeout=settings.redis_milliseconds / 1000)
    authenticator = Authenticator(requests, settings.auth)

    active = ActiveGenerations()
    lists = Lists(redis, guarded, settings.purchase_lookback)
    popularity = PopularityLists(lists, active)
    activations = ActivationFeed(active, redis, database, popularity, settings.pointer_seconds)
    catalogues = Catalogues(database, SpillFile(settings.models_folder))
    campaigns = Campaigns(
        s3.client(settings.s3), settings.models_folder, guarded, catalogues, settings.models_kept
    )
    filters = Filters(guarded)
    placements = Placements(guarded)
    erased_users = ErasedUsers()
    running = RunningExperiments(database, settings.pointer_seconds)

    caches = StateTable[CacheRefreshed](settings.kafka, CACHES, activations.apply)
    items = StateTable[ItemChanged](settings.kafka, ITEMS, catalogues.apply, catalogues.retain, keep=False)
    catalogues.follow(items)
    campaign_states = StateTable[CampaignChanged](
        settings.kafka, CAMPAIGNS, campaigns.apply, campaigns.retain
    )
    filter_states = StateTable[FilterChanged](settings.kafka, FILTERS, filters.apply, filters.retain)
    placement_states = StateTable[PlacementChanged](
        settings.kafka, PLACEMENTS, placements.apply, placements.retain, keep=False
    )
    erasures = StateTable[UserErasureRequested](settings.kafka, ERASURES, erased_users.apply, keep=False)
    publisher = Publisher(settings.kafka, "recommender", [EXPOSURES, SERVINGS], essential=False)
    exposures = ExposurePublisher(publisher, settings.exposures_kept)
    reader = RecordReader(settings.kafka, "recommender", SERVINGS)

    recorder = AnswerRecorder.of(publisher, settings)
    profiles = Profiles(redis, guarded, settings.purchase_lookback)
    item_filters = ItemFilters(filters, profiles)
    targets = TargetResolver(campaigns)
    experiments = Experiments(running, exposures)
    explorer = Explorer(ImpressionCounts(redis))
    recommender = Recommender(
        profiles, lists, popularity, catalogues, active, item_filters, explorer, erased_users
    )
    overrides = Overrides(
        redis,
        database,
        guarded,
        OverrideLimits(timedelta(days=settings.override_days), settings.overrides_per_tenant),
    )
    batches = ListBatches(redis, lists, active, activations)
    states = VisitorStates(redis, profiles, lists, batches)
    precomputed = PrecomputedRecommendations(
        lists,
        popularity,
        catalogues,
        active,
        activations,
        overrides,
        LiveLists(campaigns, recommender, profiles, states, erased_users),
    )
    answers = RestAnswers(precomputed, recommender, targets, catalogues, experiments, recorder)
    parts = StrategyParts(batches, popularity, catalogues, campaigns, recommender, overrides, Trending(redis))
    popular = Popular(parts)
    quotas = ItemQuotaCounts(redis)
    engine = placement_engine(
        placements,
        parts,
        popular,
        states,
        erased_users,
        item_filters,
        quotas,
        UnclickedImpressions(redis),
    )
    graphql = GraphqlApi(
        Fields(
            PagedRecommendations(precomputed, popularity, popular, catalogues, active),
            engine,
            catalogues,
            overrides,
        ),
        overrides,
        authenticator,
    )
    placement_answers = PlacementAnswers(engine, catalogues, recorder)
    shop_routes = ShopRoutes.of(requests, engine, catalogues, authenticator)
    streams = PlacementStreams(
        placement_answers,
        catalogues,
        SubjectFeed(settings.redis),
        lambda: redis.up,
        limit=settings.streams,
        seconds=settings.stream_seconds,
    )
    runtime = PersonalizeRuntime(
        targets,
        recommender,
        item_filters,
        catalogues,
        explorer,
        authenticator,
        CampaignExperiments(experiments, targets, Accounts(requests)),
        recorder,
    )
    app = application(
        "recommender",
        parts=[
            database, redis, quotas, authenticator,
            caches, items, campaign_states, filter_states, placement_states, erasures,
            StateTable[ExperimentChanged](
                settings.kafka, EXPERIMENTS, running.apply, running.retain, keep=False
            ),
            activations, catalogues, campaigns, overrides, running, publisher, exposures, streams,
            recorder.servings, reader,
        ],
        routers=[
            *shop_routes.routers,
            RestRoutes(
                answers, Status(active, catalogues, campaigns, running, lambda: redis.up),
                shop_routes.audiences, authenticator,
            ).router(),
            PlacementRoutes(placement_answers, placements, streams, authenticator).router(),
            graphql.router(),
            ServedRoutes.of(
                settings, reader, erased_users, ErasureMarks(redis, settings.kept_answers), authenticator
            ),
            runtime.routes.router(),
        ],
        description="Recommendations for users, items and places; GraphQL; Amazon Personalize's runtime API.",
        http=settings.http,
    )  # fmt: skip
    rest_front = RestFastPath(AwsFastPath(graphql.realtime(app), runtime.routes), answers, authenticator)
    front = PlacementFastPath(
        graphql.fast_path(rest_front), placement_answers, authenticator, rest_front.direct
    )
    return FastPathApplication(
        tracing.TracedRequests(front), app, settings.http, BoundedWebSocket, front.direct
    )


def worker(settings: Settings) -> FastAPI:
    """Return the process that keeps histories, purchases and users in Redis."""
    database = Database(settings.postgres, "recommender")
    redis = create_multiplexer(settings.redis, timeout=WORKER_REDIS_TIMEOUT_SECONDS, essential=True)
    retention = Retention(
        purchases=settings.purchase_lookback,
        history=timedelta(days=settings.history_days),
        session=timedelta(days=settings.session_days),
    )
    megabytes = settings.history_megabytes
    budget = MemoryBudget(redis, None if megabytes is None else megabytes * 2**20)
    histories = Histories(redis, retention, budget)
    users = UserStates(redis)
    publisher = Publisher(settings.kafka, "recommender", [ERASURE_RECEIPTS], essential=False)
    erased_users = ErasedUsers()
    erasures = StateTable[UserErasureRequested](settings.kafka, ERASURES, erased_users.apply, keep=False)
    fatigue_tenants = FatigueTenants()
    placements = StateTable[PlacementChanged](settings.kafka, PLACEMENTS, fatigue_tenants.apply, keep=False)
    handlers = Handlers(
        histories,
        users,
        ImpressionCounts(redis),
        TrendCounts(redis),
        SubjectChanges(redis),
        settings.purchase_lookback,
        erased_users,
        Erasures(redis, database, publisher, settings.kept_answers),
        UnclickedImpressions(redis, retention.history),
        fatigue_tenants,
    )
    consumer = Consumer(settings.kafka, "recommender")
    consumer.subscribe(INTERACTIONS, handlers.interactions_recorded, batch=2_000, gather=GATHER_SECONDS)
    consumer.subscribe(ERASURES, handlers.erasures_requested, purpose="erasures")
    consumer.subscribe(USERS, handlers.users_changed, purpose="users", batch=2_000)
    copies = OverrideCopies(redis, database)
    refill = Refill(redis, database, histories, users, copies, retention)
    expiry = PeriodicTask("expired-overrides", copies.delete_expired, seconds=EXPIRY_SECONDS)
    return application(
        "recommender",
        parts=[database, redis, publisher, erasures, placements, budget, refill, expiry, consumer],
    )
