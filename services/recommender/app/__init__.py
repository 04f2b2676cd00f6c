"""The recommender's processes, and which handler reads which topic.

stores    what the serving process reads, and the state topics that it follows
answers   what makes an answer
http      the serving process: routes and fast paths
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from services.recommender.app.http import build
from services.recommender.domain.erased_users import ErasedUsers
from services.recommender.domain.unclicked_impressions import FatigueTenants
from services.recommender.handlers import Handlers
from services.recommender.store.erasures import ErasureMarks, Erasures
from services.recommender.store.histories import Histories, Retention
from services.recommender.store.impression_counts import ImpressionCounts
from services.recommender.store.memory_budget import MemoryBudget
from services.recommender.store.override_copies import OverrideCopies
from services.recommender.store.refill import Refill
from services.recommender.store.subject_changes import SubjectChanges
from services.recommender.store.trending import TrendCounts
from services.recommender.store.unclicked_impressions import UnclickedImpressions
from services.recommender.store.users import UserStates
from shared.events import PlacementChanged, UserErasureRequested
from shared.events.topics import ERASURE_RECEIPTS, ERASURES, INTERACTIONS, PLACEMENTS, USERS
from shared.http.runtime import application
from shared.kafka import Consumer, Publisher, StateTable
from shared.periodic_task import PeriodicTask
from shared.postgres import Database
from shared.redis import create_multiplexer

if TYPE_CHECKING:
    from fastapi import FastAPI

    from services.recommender.settings import Settings

__all__ = ["build", "worker"]

GATHER_SECONDS = 0.03
"""Interactions are gathered into one batch for this long: less than until the visitor's next request."""

EXPIRY_SECONDS = 3600.0
"""Interval between deletions of expired overrides, which no answer contains; arbitrary."""

WORKER_REDIS_TIMEOUT_SECONDS = 5.0
"""A worker waits longer than a request, because a repeated batch costs more than the wait."""


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
    marks = ErasureMarks(redis, settings.kept_erasure_marks)
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
        Erasures(redis, database, publisher, marks),
        UnclickedImpressions(redis, retention.history),
        fatigue_tenants,
    )
    consumer = Consumer(settings.kafka, "recommender")
    consumer.subscribe(INTERACTIONS, handlers.interactions_recorded, batch=2_000, gather=GATHER_SECONDS)
    consumer.subscribe(ERASURES, handlers.erasures_requested, purpose="erasures")
    consumer.subscribe(USERS, handlers.users_changed, purpose="users", batch=2_000)
    copies = OverrideCopies(redis, database)
    refill = Refill(redis, database, histories, users, copies, retention, erased_users, marks)
    expiry = PeriodicTask("expired-overrides", copies.delete_expired, seconds=EXPIRY_SECONDS)
    return application(
        "recommender",
        parts=[database, redis, publisher, erasures, placements, budget, refill, expiry, consumer],
    )
