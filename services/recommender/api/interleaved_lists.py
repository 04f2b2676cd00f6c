"""Interleaved answers of the REST API: rows of the lists or campaigns of several variants, in turns.

See docs/experiments.md.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, NamedTuple

import orjson

from services.recommender.domain.recipes import POPULARITY, USER
from services.recommender.serving.precomputed import EncodedList
from services.recommender.serving.query import RecommendationQuery
from services.recommender.serving.recommendation import MODEL, POPULAR
from services.recommender.serving.team_draft import draft_seed, team_draft
from shared.errors import ApiError, EndcapError
from shared.experiments import RECOMMENDATIONS

if TYPE_CHECKING:
    from services.recommender.serving.assignments import Assignment
    from services.recommender.serving.precomputed import PrecomputedRecommendations
    from services.recommender.serving.recommendation import Recommended
    from services.recommender.serving.recommender import Recommender
    from services.recommender.serving.targets import Target, TargetResolver
    from services.recommender.store.catalogues import Catalogues
    from shared.experiments import Variant


class ListRequest(NamedTuple):
    """A request for the list of a user, or of an item."""

    tenant: str
    user_id: str | None
    item_id: str | None
    limit: int
    recipe: str
    """The recipe that answers for a variant without a strategy."""
    session_id: str | None = None
    surface: str = RECOMMENDATIONS
    """The surface of the experiment that the request takes part in."""

    @property
    def parameters(self) -> dict[str, Any]:
        """Return what the serving names as the request."""
        of_item = {} if self.item_id is None else {"item_id": self.item_id}
        return of_item | {"limit": self.limit}

    @property
    def member(self) -> bytes:
        """Return the member of the answer that says for whom or what it is."""
        name, value = ("user_id", self.user_id) if self.item_id is None else ("product_id", self.item_id)
        return b'"%b":%b' % (name.encode(), orjson.dumps(value))


class InterleavedRows(NamedTuple):
    """The rows of an answer, with what the first variant's list came from, and the variant of each row."""

    encoded: EncodedList
    picked_by: tuple[str, ...]


class InterleavedLists:
    """Reads the list of each variant, and interleaves them."""

    def __init__(
        self,
        precomputed: PrecomputedRecommendations,
        recommender: Recommender,
        targets: TargetResolver,
        catalogues: Catalogues,
    ) -> None:
        self._precomputed = precomputed
        self._recommender = recommender
        self._targets = targets
        self._catalogues = catalogues

    async def rows(self, request: ListRequest, assignment: Assignment) -> InterleavedRows:
        """Return the rows of an answer; raise ApiError (400) for a variant whose strategy cannot answer."""
        variants = assignment.experiment.enabled
        lists = [await self._list(request, variant.strategy) for variant in variants]
        request_key = f"{request.recipe}\0{request.item_id}"
        seed = draft_seed(assignment.experiment.salt, assignment.unit, request_key, time.time())
        ids = [[_item_id(row) for row in each.items] for each in lists]
        picks = team_draft(ids, request.limit, seed)
        rows = [lists[pick.variant].items[pick.place] for pick in picks]
        first = lists[0]
        return InterleavedRows(
            EncodedList(rows, first.source, first.generation),
            tuple([variants[pick.variant].name for pick in picks]),
        )

    async def item_ids(self, request: ListRequest, variant: Variant) -> tuple[str, ...]:
        """Return the items of the list of a variant; raise ApiError (400) if its strategy cannot answer."""
        rows = (await self._list(request, strategy_of(variant, request.surface))).items
        return tuple(orjson.loads(row)["product_id"] for row in rows)

    async def _list(self, request: ListRequest, strategy: str | None) -> EncodedList:
        tenant, user_id, item_id, limit, default, session_id, _ = request
        if strategy is not None and strategy.startswith("arn:"):
            query = RecommendationQuery(user_id if item_id is None else None, item_id, limit)
            target, recommended = await by_campaign(self._targets, self._recommender, tenant, strategy, query)
            rows = campaign_rows(self._catalogues, target, recommended, limit)
            return EncodedList(rows, recommended.source, recommended.generation)
        recipe = self._precomputed.check_strategy(tenant, strategy, default)
        if item_id is not None:
            return await self._precomputed.for_item(tenant, item_id, limit, recipe)
        if session_id is not None and recipe == USER:
            return await self._precomputed.for_visitor(tenant, user_id, session_id, limit)
        return await self._precomputed.for_user(tenant, user_id or "", limit, recipe)


def strategy_of(variant: Variant, surface: str) -> str | None:
    """Return the strategy by which lists answer for a variant: its own, else the campaign of the surface."""
    if variant.strategy is None and surface.startswith("campaign/"):
        return f"arn:aws:personalize:::{surface}"
    return variant.strategy


async def by_campaign(
    targets: TargetResolver, recommender: Recommender, tenant: str, arn: str, query: RecommendationQuery
) -> tuple[Target, Recommended]:
    """Return what a campaign recommends; raise ApiError (400) for one that does not exist or can't answer."""
    try:
        target = await targets.campaign(tenant, None, arn)
        return target, await recommender.recommend(target, query)
    except EndcapError as error:
        raise ApiError(400, "UnknownStrategy", str(error)) from None


def campaign_rows(
    catalogues: Catalogues, target: Target, recommended: Recommended, limit: int
) -> list[bytes]:
    """Return the items of a campaign as JSON objects."""
    scores = [(each.item_id, each.score) for each in recommended.items]
    algorithm = _algorithm(target, recommended.source)
    return catalogues.of(target.tenant).encode(scores, set(), limit, algorithm)


def _algorithm(target: Target, source: bytes) -> str:
    """Return the recipe that chose the items: the model's, or that of the lists used instead."""
    if source == POPULAR:
        return POPULARITY
    if source == MODEL and target.deployed is not None:
        return target.deployed.campaign.recipe.rpartition("/")[2]
    return target.recipe


def _item_id(row: bytes) -> bytes:
    """Return what a row begins with, `{"product_id":"` and the id."""
    return row.partition(b'","product_name":')[0]
