"""Location and properties of users, written to Redis.

A user without a list of their own is recommended what is popular at their location; filters read the
properties.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import orjson

from services.recommender.domain.properties import encode_properties
from services.recommender.store.keys import location_key, properties_key

if TYPE_CHECKING:
    from services.recommender.store.lists import Location
    from shared.redis import Multiplexer

MAX_PROPERTIES_BYTES = 2_048
"""Longer properties of a user stay in Postgres, which is read when Redis has none. Arbitrary."""


@dataclass(frozen=True, slots=True)
class UserState:
    """The record of a user in Redis, written by the worker; `properties` are encoded."""

    location: Location
    properties: bytes

    @classmethod
    def of(cls, name: str | None, location: Location, attributes: Mapping[str, Any]) -> UserState:
        """Return what is stored of a user's state in sync."""
        fields = dict(zip(("name", "city", "province", "country"), (name, *location), strict=True))
        return cls(location, encode_properties(fields, attributes))


class UserStates:
    """Writes the states of users, which stay until the user is deleted."""

    def __init__(self, redis: Multiplexer) -> None:
        self._redis = redis

    async def put(self, users: Mapping[tuple[str, str], UserState | None]) -> None:
        """Store the state of each (tenant, user id); None deletes it. Raise Transient without Redis."""
        if users:
            await self._redis.execute(
                *(command for user, state in users.items() for command in _commands(user, state))
            )


def _commands(user: tuple[str, str], state: UserState | None) -> list[tuple[str | bytes, ...]]:
    location, properties = (state.location, state.properties) if state else ((), b"")
    return [
        ("SET", location_key(*user), orjson.dumps(location))
        if any(location)
        else ("DEL", location_key(*user)),
        ("SET", properties_key(*user), properties)
        if 0 < len(properties) <= MAX_PROPERTIES_BYTES
        else ("DEL", properties_key(*user)),
    ]
