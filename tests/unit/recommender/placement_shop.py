"""A shop in memory for tests of placements: real catalogue, strategies and engine over fake stores."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, cast

import numpy as np

from services.recommender.domain.catalogue import Catalogue, ItemScores
from services.recommender.domain.catalogue_index import CatalogueIndex
from services.recommender.domain.deployed_campaign import DeployedCampaign
from services.recommender.domain.erased_users import ErasedUsers
from services.recommender.domain.filterable_items import FilterableItems
from services.recommender.domain.override import Override
from services.recommender.domain.recipes import POPULARITY
from services.recommender.serving.assignments import Assignment
from services.recommender.serving.filtering import ItemFilters
from services.recommender.serving.placements.engine import PlacementEngine
from services.recommender.serving.placements.placement_rules import PlacementRules
from services.recommender.serving.placements.request import PlacementRequest, Visitor
from services.recommender.serving.placements.single_pass import SinglePass
from services.recommender.serving.placements.strategies import Popular, StrategyParts, strategies
from services.recommender.serving.placements.variants import PlacementVariants
from services.recommender.serving.placements.visitor import Visitors
from services.recommender.serving.recommender import Recommender
from services.recommender.store.filters import Filters
from services.recommender.store.list_batches import ListKey, StoredList
from services.recommender.store.lists import ListLookup, Location
from services.recommender.store.placements import Placements
from services.recommender.store.popularity_lists import PopularList
from services.recommender.store.profiles import Profile
from services.recommender.store.visitor_states import VisitorState
from shared.events import CampaignChanged, FilterChanged
from shared.experiments import Experiment
from shared.models import (
    Attributes,
    Histories,
    Ids,
    Model,
    Neighbours,
    Scoring,
    ScoringComponent,
    SeenItems,
)
from tests.unit.recommender.rule_worlds import Generations, Impressions, Quotas

TENANT = "shop"
GENERATION = 7
ITEMS = tuple(f"i{n}" for n in range(20))
NOW = int(time.time())
TRAINED_AT = NOW - 86_400


class Explorer:
    """An explorer that explores nothing."""

    async def bonus(self, _: object) -> None:
        return None


class NoView:
    """A database without placements."""

    async def fetch(self, *_: object) -> list[Any]:
        return []


@dataclass
class Trends:
    """The trending items, as a test sets them."""

    scores: ItemScores = field(default_factory=list)

    async def of(self, _: str, count: int) -> ItemScores:
        return self.scores[:count]


class Experiments:
    """The experiments of the tenant, as a test sets them: by surface."""

    def __init__(self) -> None:
        self.running: dict[str, Experiment] = {}

    def may_run(self, _: str) -> bool:
        return bool(self.running)

    async def read(self) -> None:
        return None

    def assign(
        self, _: str, surface: str, user_id: str | None, session_id: str | None = None
    ) -> Assignment | None:
        experiment = self.running.get(surface)
        unit = (experiment and experiment.unit_of(user_id, session_id)) or ""
        if experiment is None or (variant := experiment.assign(unit)) is None:
            return None
        return Assignment(experiment, variant, unit, ((b"x-variant", variant.name.encode()),))


@dataclass
class Shop:
    """Twenty items; tests fill the lists, the visitor and the campaigns."""

    lists: dict[ListKey, ItemScores] = field(default_factory=dict)
    popular: dict[str, ItemScores] = field(default_factory=dict)
    state: VisitorState = field(default_factory=VisitorState)
    deployed: dict[str, DeployedCampaign] = field(default_factory=dict)
    catalogue: Catalogue = field(default_factory=Catalogue)
    overrides: list[Override] = field(default_factory=list)
    trends: Trends = field(default_factory=Trends)
    experiments: Experiments = field(default_factory=Experiments)

    def __post_init__(self) -> None:
        for number, item_id in enumerate(ITEMS):
            properties = {"category": "tea" if number % 2 else "coffee", "created_at": float(number + 1)}
            self.put(item_id, properties=properties)
        self.placements = Placements(cast("Any", NoView()))
        self.filters = Filters(cast("Any", NoView()))
        self.index = CatalogueIndex(self.catalogue)
        store, explorer = cast("Any", self), cast("Any", Explorer())
        recommender = Recommender(
            cast("Any", States(self)), store, store, store, store, store, explorer, ErasedUsers()
        )
        self.parts = StrategyParts(store, store, store, store, recommender, store, cast("Any", self.trends))
        self.popular_items = Popular(self.parts)
        self.strategies = strategies(self.parts, self.popular_items)
        rules = PlacementRules(store, store, ItemFilters(self.filters, store), Quotas({}), Impressions({}))
        self.single_pass = SinglePass(self.parts, rules)
        self.engine = PlacementEngine(
            self.placements,
            self.strategies,
            self.popular_items,
            Visitors(cast("Any", States(self)), ErasedUsers()),
            store,
            rules,
            self.single_pass,
            PlacementVariants(cast("Any", self.experiments), store, self.filters, cast("Any", Generations())),
        )

    def put(
        self, item_id: str, *, available: bool = True, properties: Mapping[str, Any] | None = None
    ) -> None:
        """Describe an item; its properties stay unless there are new ones."""
        known = self.catalogue.properties(item_id) if properties is None else properties
        self.catalogue.put(
            item_id, item_id.upper(), 1.0, available=available, as_of=datetime.now(UTC), properties=known
        )

    def add_filter(self, name: str, expression: str) -> None:
        """Announce a filter."""
        announced = FilterChanged(
            event_id=name,
            tenant=TENANT,
            occurred_at=datetime.now(UTC),
            name=name,
            arn=f"arn:aws:personalize:eu-west-1:000000000000:filter/{name}",
            status="ACTIVE",
            expression=expression,
        )
        self.filters.apply(announced.key, announced)

    def override(self, item_id: str, score: float) -> None:
        """Recommend an item to the user by hand."""
        self.overrides.append(Override(TENANT, "u1", item_id, score, None, 0.0, 2e9, 1))

    def withdraw(self, item_id: str) -> None:
        self.put(item_id, available=False)

    def views(self, *item_ids: str, event_type: str = "view", since: int = NOW - 100) -> None:
        """Let the visitor view items, one a second."""
        events = [(item_id, event_type, since + number) for number, item_id in enumerate(item_ids)]
        self.state.profile.history.extend(events)

    def deploy(self, recipe: str, kind: Any, best: Sequence[str] = ITEMS) -> DeployedCampaign:
        """Deploy a campaign whose model relates every item to `best`, in that order."""
        model = a_model(kind, best)
        campaign = CampaignChanged(
            event_id="e",
            tenant=TENANT,
            occurred_at=datetime.now(UTC),
            name="c",
            arn="arn:aws:personalize:eu-west-1:000000000000:campaign/c",
            status="ACTIVE",
            recipe="aws-test-recipe",
            solution_version_arn="v",
            model_uri="s3://bucket/model",
            model_sha256="0" * 64,
            traits=cast("Any", {"list_recipe": recipe}),
        )
        items = FilterableItems(model.items.strings, model.items.numbers, Attributes(), self.catalogue)
        self.deployed[recipe] = DeployedCampaign(campaign, model, items)
        return self.deployed[recipe]

    async def ids(self, placement: Any, **fields: Any) -> list[str]:
        answer = await self.engine.answer(PlacementRequest(TENANT, "test", **fields), placement)
        return [item.item_id for item in answer.items]

    async def visitor(self, request: PlacementRequest, lists: dict[ListKey, StoredList]) -> Visitor:
        return Visitor(self.state.profile, request.user_id, self.state.location, lists=lists)

    # The stores that the recommender and the strategies read.

    def of(self, _tenant: str) -> Catalogue:
        return self.catalogue

    def index_of(self, _tenant: str) -> CatalogueIndex:
        return self.index

    async def read(self, _tenant: str, keys: Iterable[ListKey]) -> dict[ListKey, StoredList]:
        return {
            key: StoredList(self.lists.get(key, []), b"redis", GENERATION)
            for key in keys
            if any(recipe == key[0] for recipe, _ in self.lists)
        }

    async def get(self, _tenant: str, list_id: str) -> tuple[ItemScores, int]:
        return self.popular.get(list_id, []), GENERATION

    async def nearest(self, tenant: str, location: Location | None) -> tuple[ItemScores, int]:
        return await self.get(tenant, f"city:{location[0]}" if location else "all")

    async def chain(self, tenant: str, category: str | None, location: Location | None) -> list[PopularList]:
        lists = [await self.get(tenant, f"category:{category}"), await self.nearest(tenant, location)]
        return [PopularList(*each) for each in lists]

    async def look_up(
        self,
        _tenant: str,
        _generation: int | None,
        recipe: str,
        list_id: str,
        _user: str | None,
        **options: Any,
    ) -> ListLookup:
        items = self.popular.get(list_id) if recipe == POPULARITY else self.lists.get((recipe, list_id))
        history = self.state.profile.history
        newest = history[-1][2] if options.get("with_newest_event") and history else None
        return ListLookup(
            [*(items or [])], set(self.state.profile.purchased), b"redis", newest_event_seconds=newest
        )

    def has_any(self, _tenant: str) -> bool:
        return bool(self.overrides)

    async def of_user(self, _tenant: str, _user: str) -> list[Override]:
        return self.overrides

    def newest(self, _tenant: str, list_recipe: str) -> DeployedCampaign | None:
        return self.deployed.get(list_recipe)

    def known(self, _tenant: str, _account: None, name: str) -> DeployedCampaign | None:
        return next((each for each in self.deployed.values() if each.campaign.name == name), None)


@dataclass
class States:
    """Visitor states and profiles that are the shop's one."""

    shop: Shop

    async def of(self, _tenant: str, _subject: str) -> Profile:
        return self.shop.state.profile

    async def read(
        self, tenant: str, _user: str | None, _session: str | None, keys: Iterable[ListKey]
    ) -> VisitorState:
        state = self.shop.state
        return VisitorState(state.profile, state.location, await self.shop.read(tenant, keys))


def a_model(kind: Any, best: Sequence[str]) -> Model:
    """Return a model that relates every item to the items of `best`, the first of them most."""
    count, width = len(ITEMS), len(best)
    neighbours = Neighbours(
        np.arange(count + 1, dtype=np.int64) * width,
        np.tile(np.array([ITEMS.index(item_id) for item_id in best], np.int32), count),
        np.tile(np.linspace(1, 0.1, width, dtype=np.float32), count),
    )
    no_rows, nothing = np.zeros(1, np.int64), np.zeros(0, np.int32)
    return Model(
        recipe="test",
        scoring=Scoring(kind=kind, scored=True),
        items=Ids.of(ITEMS),
        users=Ids.of([]),
        popularity=np.arange(count, dtype=np.float32),
        histories=Histories(no_rows, nothing, nothing.astype(np.int16), nothing.astype(np.int64)),
        older=SeenItems(no_rows, nothing),
        components=(ScoringComponent("test", neighbours, 1.0, 0.9, "event"),),
        newest_event_time=TRAINED_AT,
    )


def ranked(*numbers: int) -> ItemScores:
    """Return items with falling scores."""
    return [(f"i{number}", round(1 - place / 50, 2)) for place, number in enumerate(numbers)]
