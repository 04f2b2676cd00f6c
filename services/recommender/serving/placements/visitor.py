"""The visitor of a request: read once, before the strategies."""

from __future__ import annotations

from typing import TYPE_CHECKING

from services.recommender.serving.placements.request import Visitor

if TYPE_CHECKING:
    from collections.abc import Collection

    from services.recommender.domain.erased_users import ErasedUsers
    from services.recommender.serving.placements.request import PlacementRequest
    from services.recommender.store.list_batches import ListKey
    from services.recommender.store.visitor_states import VisitorStates


class Visitors:
    """Reads visitors: the events of the user and of the session, joined, with lists that will be needed."""

    def __init__(self, states: VisitorStates, erased_users: ErasedUsers) -> None:
        self._states = states
        self._erased_users = erased_users

    async def of(self, request: PlacementRequest, keys: Collection[ListKey] = ()) -> Visitor:
        """Return the visitor of a request; an unknown one if nothing answers."""
        state = await self._states.read(request.tenant, request.user_id, request.session_id, keys)
        model_user_id = self._erased_users.model_user_id(request.tenant, request.user_id)
        return Visitor(state.profile, model_user_id, state.location, lists=state.lists)
