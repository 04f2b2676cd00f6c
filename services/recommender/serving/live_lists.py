"""Lists of users who have newer events than their list: a model scores them by these events.

See docs/serving.md.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from services.recommender.domain.recipes import USER
from services.recommender.serving.query import RequestContext
from services.recommender.serving.recommendation import MODEL
from services.recommender.serving.targets import Target
from services.recommender.store.lists import REDIS, ListLookup

if TYPE_CHECKING:
    from services.recommender.domain.deployed_campaign import DeployedCampaign
    from services.recommender.domain.erased_users import ErasedUsers
    from services.recommender.serving.recommender import Recommender
    from services.recommender.store.campaigns import Campaigns
    from services.recommender.store.profiles import Profile, Profiles
    from services.recommender.store.visitor_states import VisitorStates


class ServedList(NamedTuple):
    """A list, the generation that it belongs to, and the recipe that chose its items."""

    lookup: ListLookup
    generation: int | None
    algorithm: str


class LiveLists:
    """Replaces the list of a user by live scores if the user has events that the list does not know."""

    def __init__(
        self,
        campaigns: Campaigns,
        recommender: Recommender,
        profiles: Profiles,
        visitors: VisitorStates,
        erased_users: ErasedUsers,
    ) -> None:
        self._campaigns = campaigns
        self._recommender = recommender
        self._profiles = profiles
        self._visitors = visitors
        self._erased_users = erased_users

    def may_replace(self, tenant: str, recipe: str) -> bool:
        """Return whether the tenant has a loaded model that scores what lists of the recipe hold."""
        return recipe == USER and self._campaigns.newest(tenant, USER) is not None

    def replaces(self, tenant: str, lookup: ListLookup) -> bool:
        """Return whether the tenant's model knows newer events of the user than their list does."""
        deployed = self._campaigns.newest(tenant, USER)
        return deployed is not None and _is_newer(lookup.newest_event_seconds, deployed, lookup)

    async def of_user(self, tenant: str, user_id: str, lookup: ListLookup, limit: int) -> ServedList | None:
        """Return the live list of a user; None if `lookup` is as new as the user's events."""
        deployed = self._campaigns.newest(tenant, USER)
        if deployed is None or not _is_newer(lookup.newest_event_seconds, deployed, lookup):
            return None
        profile = await self._profiles.of(tenant, user_id)
        return await self._scored(deployed, tenant, user_id, profile, lookup, limit)

    async def of_visitor(self, tenant: str, user_id: str | None, session_id: str, limit: int) -> ServedList:
        """Return the list of a user who has a session, or live scores if they have newer events.

        The events and purchases of the user and the session count together, unless the session is another
        user's. A guest has no list.
        """
        keys = [(USER, user_id)] if user_id is not None else []
        state = await self._visitors.read(tenant, user_id, session_id, keys)
        stored = state.lists.get((USER, user_id or ""))
        lookup = ListLookup(purchased=state.profile.purchased, source=REDIS, location=state.location)
        generation = None
        if stored is not None and stored.items:
            lookup.items, lookup.source, generation = stored.items, stored.source, stored.generation
            lookup.overlay = stored.overlay
        history, deployed = state.profile.history, self._campaigns.newest(tenant, USER)
        live = None
        if deployed is not None and _is_newer(history[-1][2] if history else None, deployed, lookup):
            live = await self._scored(deployed, tenant, user_id, state.profile, lookup, limit)
        return live or ServedList(lookup, generation, USER)

    async def _scored(
        self,
        deployed: DeployedCampaign,
        tenant: str,
        user_id: str | None,
        profile: Profile,
        lookup: ListLookup,
        limit: int,
    ) -> ServedList | None:
        """Return the items that the model scores best; None if it has none."""
        model_user_id = self._erased_users.model_user_id(tenant, user_id)
        context = RequestContext(tenant, user_id, None, profile, model_user_id=model_user_id)
        target = Target(tenant, deployed.traits.list_recipe, deployed)
        best = await self._recommender.score(target, context, limit)
        if not best:
            return None
        items = [(each.item_id, each.score) for each in best]
        live = ListLookup(items, profile.purchased | lookup.purchased, MODEL, lookup.location)
        return ServedList(live, None, deployed.campaign.recipe.rpartition("/")[2])


def _is_newer(newest_event_seconds: float | None, deployed: DeployedCampaign, lookup: ListLookup) -> bool:
    """Return whether the model knows the user better than the list does: any event counts without a list."""
    if newest_event_seconds is None or deployed.model is None:
        return False
    known_until: float = deployed.model.newest_event_time
    if lookup.overlay is not None:
        known_until = max(known_until, lookup.overlay.as_of_seconds)
    return not lookup.items or int(newest_event_seconds) > known_until
