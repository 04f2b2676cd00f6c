"""Where users live, and what else the shop says of them, in Redis.

Who has no list of their own gets what is popular where they live; filters ask for the rest.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import orjson

from services.recommender.domain.facts import packed
from services.recommender.store.keys import facts_key, place_key

if TYPE_CHECKING:
    from services.recommender.store.lists import Place
    from shared.redis import Multiplexer

MOST_FACT_BYTES = 2_048
"""Longer facts of a user are left to Postgres, where who needs them looks next. Arbitrary."""


@dataclass(frozen=True, slots=True)
class About:
    """What the worker keeps of a user; `facts` are packed."""

    place: Place
    facts: bytes

    @classmethod
    def of(cls, name: str | None, place: Place, attributes: Mapping[str, Any]) -> About:
        """What is kept of a state of sync's."""
        fields = dict(zip(("name", "city", "province", "country"), (name, *place), strict=True))
        return cls(place, packed(fields, attributes))


class Places:
    """Writes what is known of users; it stays until the user is gone."""

    def __init__(self, redis: Multiplexer) -> None:
        self._redis = redis

    async def put(self, users: Mapping[tuple[str, str], About | None]) -> None:
        """Set what is known of each (tenant, user); None removes it. Transient while Redis is away."""
        if users:
            await self._redis.execute(
                *(each for who, about in users.items() for each in _commands(who, about))
            )


def _commands(who: tuple[str, str], about: About | None) -> list[tuple[str | bytes, ...]]:
    place, facts = (about.place, about.facts) if about else ((), b"")
    return [
        ("SET", place_key(*who), orjson.dumps(place)) if any(place) else ("DEL", place_key(*who)),
        ("SET", facts_key(*who), facts) if 0 < len(facts) <= MOST_FACT_BYTES else ("DEL", facts_key(*who)),
    ]
