"""HTTP: how much Redis has of a user, for exports of a person's data."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

from fastapi import APIRouter, Depends, Path
from pydantic import BaseModel, Field

from shared.errors import Transient, unavailable
from shared.events.values import Name
from shared.http.runtime import ErrorBody

if TYPE_CHECKING:
    from services.recommender.store.user_keys import UserKeys
    from shared.auth import Authenticator, Principal


class UserKeyCounts(BaseModel):
    """The number of keys of a user and of the user's sessions."""

    user_id: str
    keys: dict[str, int] = Field(
        description="keys in Redis by what they hold, with the names of the receipts of erasures"
    )


class UserKeyRoutes:
    """The route, for the engine: it passes the administrator's key on."""

    def __init__(self, user_keys: UserKeys, authenticator: Authenticator) -> None:
        self._user_keys = user_keys
        self._administrator = Depends(authenticator.require("admin"))

    def router(self) -> APIRouter:
        """Return the route."""
        router = APIRouter(tags=["Privacy"])

        @router.get("/v1/user-keys/{user_id}", operation_id="count_user_keys", responses=_ERRORS)
        async def count_user_keys(
            user_id: Annotated[Name, Path()], principal: Principal = self._administrator
        ) -> UserKeyCounts:
            """Return how many keys Redis has of a user and of the user's newest 1,000 sessions."""
            try:
                keys = await self._user_keys.count(principal.own_tenant, user_id)
            except Transient:
                raise unavailable("Redis") from None
            return UserKeyCounts(user_id=user_id, keys=keys)

        return router


_ERRORS: dict[int | str, dict[str, Any]] = {
    503: {"model": ErrorBody, "description": "Redis or Postgres is not reachable."}
}
