"""The parts that make an answer: the recommender, lists, placements, and the record of answers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from services.recommender.serving.comparisons import Comparisons
from services.recommender.serving.experiments import Experiments
from services.recommender.serving.exploration import Explorer
from services.recommender.serving.filtering import ItemFilters
from services.recommender.serving.live_lists import LiveLists
from services.recommender.serving.pages import PagedRecommendations
from services.recommender.serving.placements.assembly import placement_engine
from services.recommender.serving.placements.shadows import ShadowAnswers
from services.recommender.serving.placements.strategies import Popular, StrategyParts
from services.recommender.serving.placements.variants import PlacementVariants
from services.recommender.serving.precomputed import PrecomputedRecommendations
from services.recommender.serving.recommender import Recommender
from services.recommender.serving.recorder import AnswerRecorder
from services.recommender.serving.unseen_answers import UnseenAnswers
from services.recommender.store.exposure_journal import ExposureJournal
from services.recommender.store.exposure_publisher import ExposurePublisher
from services.recommender.store.impression_counts import ImpressionCounts
from services.recommender.store.item_quotas import ItemQuotaCounts
from services.recommender.store.list_batches import ListBatches
from services.recommender.store.stored_generations import StoredGenerations
from services.recommender.store.trending import Trending
from services.recommender.store.unclicked_impressions import UnclickedImpressions
from services.recommender.store.visitor_states import VisitorStates

if TYPE_CHECKING:
    from services.recommender.app.stores import Stores
    from services.recommender.serving.placements.engine import PlacementEngine
    from services.recommender.settings import Settings
    from shared.kafka import Publisher


@dataclass(frozen=True, slots=True)
class AnswerParts:
    """The parts that the routes share."""

    recorder: AnswerRecorder
    exposures: ExposurePublisher
    experiments: Experiments
    item_filters: ItemFilters
    explorer: Explorer
    recommender: Recommender
    live: LiveLists
    precomputed: PrecomputedRecommendations
    quotas: ItemQuotaCounts
    engine: PlacementEngine
    pages: PagedRecommendations
    unseen: UnseenAnswers
    comparisons: Comparisons
    variants: PlacementVariants

    @classmethod
    def of(cls, settings: Settings, stores: Stores, publisher: Publisher) -> AnswerParts:
        """Return the parts over the stores; `publisher` sends exposures and servings."""
        journal = ExposureJournal(settings.state_folder)
        exposures = ExposurePublisher(publisher, journal, settings.exposures_kept)
        item_filters = ItemFilters(stores.filters, stores.profiles)
        explorer = Explorer(ImpressionCounts(stores.redis))
        recommender = Recommender(
            stores.profiles,
            stores.lists,
            stores.popularity,
            stores.catalogues,
            stores.active,
            item_filters,
            explorer,
            stores.erased_users,
        )
        batches = ListBatches(stores.redis, stores.lists, stores.active, stores.activations)
        states = VisitorStates(stores.redis, stores.profiles, stores.lists, batches)
        live = LiveLists(stores.campaigns, recommender, stores.profiles, states, stores.erased_users)
        generations = StoredGenerations(stores.requests)
        precomputed = PrecomputedRecommendations(
            stores.lists,
            stores.popularity,
            stores.catalogues,
            stores.active,
            stores.activations,
            stores.overrides,
            live,
            generations,
        )
        strategy_parts = StrategyParts(
            batches,
            stores.popularity,
            stores.catalogues,
            stores.campaigns,
            recommender,
            stores.overrides,
            Trending(stores.redis),
        )
        experiments = Experiments(stores.running, exposures)
        variants = PlacementVariants(experiments, stores.campaigns, stores.filters, generations)
        popular, quotas = Popular(strategy_parts), ItemQuotaCounts(stores.redis)
        engine = placement_engine(
            stores.placements,
            strategy_parts,
            popular,
            states,
            stores.erased_users,
            item_filters,
            quotas,
            UnclickedImpressions(stores.redis),
            variants,
        )
        recorder = AnswerRecorder.of(publisher, settings, experiments.expose)
        unseen = UnseenAnswers()
        comparisons = Comparisons(experiments, unseen)
        ShadowAnswers(engine, recorder, comparisons, unseen)
        return cls(
            recorder,
            exposures,
            experiments,
            item_filters,
            explorer,
            recommender,
            live,
            precomputed,
            quotas,
            engine,
            PagedRecommendations(precomputed, stores.popularity, popular, stores.catalogues, stores.active),
            unseen,
            comparisons,
            variants,
        )
