"""Answers of campaigns in the shape of REST, for a variant whose strategy is a campaign."""

from __future__ import annotations

from typing import TYPE_CHECKING

import orjson

from services.recommender.api.answers import MODEL, POPULAR, Reply
from services.recommender.api.selection import RecommendationQuery
from services.recommender.domain.catalogue import body
from services.recommender.domain.recipes import POPULARITY
from shared.errors import ApiError, EndcapError

if TYPE_CHECKING:
    from services.recommender.api.selection import Selection
    from services.recommender.api.targets import Target, Targets
    from services.recommender.domain.pointers import Pointers
    from services.recommender.store.states import Catalogues


class Live:
    """Answers by the ARN of a campaign."""

    def __init__(
        self, targets: Targets, selection: Selection, catalogues: Catalogues, pointers: Pointers
    ) -> None:
        self._targets = targets
        self._selection = selection
        self._catalogues = catalogues
        self._pointers = pointers

    async def for_user(self, tenant: str, text: str, user_id: str, limit: int) -> Reply:
        """For a user."""
        subject = b'"user_id":' + orjson.dumps(user_id)
        return await self._answer(tenant, text, RecommendationQuery(user_id, None, limit), subject)

    async def for_guest(self, tenant: str, text: str, limit: int) -> Reply:
        """For somebody without an id; 400 where the campaign's recipe needs one."""
        return await self._answer(tenant, text, RecommendationQuery(None, None, limit), b'"user_id":null')

    async def for_item(self, tenant: str, text: str, item_id: str, limit: int) -> Reply:
        """For an item."""
        subject = b'"product_id":' + orjson.dumps(item_id)
        return await self._answer(tenant, text, RecommendationQuery(None, item_id, limit), subject)

    async def _answer(self, tenant: str, text: str, query: RecommendationQuery, subject: bytes) -> Reply:
        try:
            target = await self._targets.campaign(tenant, None, text)
            picks, source = await self._selection.recommend(target, query)
        except EndcapError as error:
            raise ApiError(400, "UnknownStrategy", str(error)) from None
        listed = [(pick.item, pick.score) for pick in picks]
        entries = self._catalogues.of(tenant).entries(listed, set(), query.limit, _algorithm(target, source))
        generation = None if source == MODEL else self._pointers.of(tenant).generations.get(target.recipe)
        return Reply(body(subject, entries, source, generation), source, generation)


def _algorithm(target: Target, source: bytes) -> str:
    """Return the recipe that chose the items: the model's, or that of the lists in its place."""
    if source == POPULAR:
        return POPULARITY
    if source == MODEL and target.deployed is not None:
        return target.deployed.campaign.recipe.rpartition("/")[2]
    return target.recipe
