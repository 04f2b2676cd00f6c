"""Where users live, in Redis: who has no list of their own gets what is popular there."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import orjson

from services.recommender.store.keys import place_key

if TYPE_CHECKING:
    from services.recommender.store.lists import Place
    from shared.redis import Multiplexer


class Places:
    """Writes places; they stay until the user is gone."""

    def __init__(self, redis: Multiplexer) -> None:
        self._redis = redis

    async def put(self, places: Mapping[tuple[str, str], Place | None]) -> None:
        """Set the place of each (tenant, user); None removes it. Transient while Redis is away."""
        if places:
            await self._redis.execute(
                *(
                    ("SET", place_key(*who), orjson.dumps(place))
                    if place is not None and any(place)
                    else ("DEL", place_key(*who))
                    for who, place in places.items()
                )
            )
