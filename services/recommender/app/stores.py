"""The stores of the process that answers requests, and the topics that they follow."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from services.recommender.domain.activations import ActiveGenerations
from services.recommender.domain.erased_users import ErasedUsers
from services.recommender.store.activations import ActivationFeed
from services.recommender.store.campaigns import Campaigns
from services.recommender.store.catalogues import Catalogues
from services.recommender.store.filters import Filters
from services.recommender.store.guarded_database import GuardedDatabase
from services.recommender.store.lists import Lists
from services.recommender.store.overrides import OverrideLimits, Overrides
from services.recommender.store.placements import Placements
from services.recommender.store.popularity_lists import PopularityLists
from services.recommender.store.profiles import Profiles
from services.recommender.store.running_experiments import RunningExperiments
from services.recommender.store.spill_file import SpillFile
from shared import s3
from shared.events import (
    CacheRefreshed,
    CampaignChanged,
    ExperimentChanged,
    FilterChanged,
    ItemChanged,
    PlacementChanged,
    UserErasureRequested,
)
from shared.events.topics import CACHES, CAMPAIGNS, ERASURES, EXPERIMENTS, FILTERS, ITEMS, PLACEMENTS
from shared.kafka import StateTable
from shared.postgres import Database
from shared.redis import create_multiplexer

if TYPE_CHECKING:
    from collections.abc import Sequence

    from services.recommender.settings import Settings
    from shared.redis import Multiplexer


@dataclass(frozen=True, slots=True)
class Stores:
    """The databases and what is read from them. `topics` are the state topics that keep them up to date."""

    database: Database
    requests: Database
    guarded: GuardedDatabase
    redis: Multiplexer
    active: ActiveGenerations
    lists: Lists
    popularity: PopularityLists
    activations: ActivationFeed
    catalogues: Catalogues
    campaigns: Campaigns
    filters: Filters
    placements: Placements
    erased_users: ErasedUsers
    running: RunningExperiments
    profiles: Profiles
    overrides: Overrides
    topics: Sequence[StateTable[Any]]

    @classmethod
    def of(cls, settings: Settings) -> Stores:
        """Return the stores; nothing connects before it is started."""
        database = Database(settings.postgres, "recommender")
        requests = database.for_requests()
        guarded = GuardedDatabase(requests, settings.postgres_milliseconds / 1000)
        redis = create_multiplexer(settings.redis, timeout=settings.redis_milliseconds / 1000)
        active = ActiveGenerations()
        lists = Lists(redis, guarded, settings.purchase_lookback)
        popularity = PopularityLists(lists, active)
        activations = ActivationFeed(active, redis, database, popularity, settings.pointer_seconds)
        catalogues = Catalogues(database, SpillFile(settings.models_folder))
        campaigns = Campaigns(
            s3.client(settings.s3), settings.models_folder, guarded, catalogues, settings.models_kept
        )
        filters, placements, erased_users = Filters(guarded), Placements(guarded), ErasedUsers()
        running = RunningExperiments(database, settings.pointer_seconds)
        limits = OverrideLimits(timedelta(days=settings.override_days), settings.overrides_per_tenant)
        kafka = settings.kafka
        items = StateTable[ItemChanged](kafka, ITEMS, catalogues.apply, catalogues.retain, keep=False)
        catalogues.follow(items)
        return cls(
            database,
            requests,
            guarded,
            redis,
            active,
            lists,
            popularity,
            activations,
            catalogues,
            campaigns,
            filters,
            placements,
            erased_users,
            running,
            Profiles(redis, guarded, settings.purchase_lookback),
            Overrides(redis, database, guarded, limits),
            [
                StateTable[CacheRefreshed](kafka, CACHES, activations.apply),
                items,
                StateTable[CampaignChanged](kafka, CAMPAIGNS, campaigns.apply, campaigns.retain),
                StateTable[FilterChanged](kafka, FILTERS, filters.apply, filters.retain),
                StateTable[PlacementChanged](
                    kafka, PLACEMENTS, placements.apply, placements.retain, keep=False
                ),
                StateTable[UserErasureRequested](kafka, ERASURES, erased_users.apply, keep=False),
                StateTable[ExperimentChanged](kafka, EXPERIMENTS, running.apply, running.retain, keep=False),
            ],
        )
