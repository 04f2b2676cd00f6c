"""The JSON of servings that are lists of items and scores: pages of GraphQL, and aggregations."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import orjson

from services.recommender.domain.recipes import POPULARITY
from services.recommender.serving.overrides import ALGORITHM as OVERRIDE

if TYPE_CHECKING:
    from collections.abc import Container, Mapping

    from services.recommender.domain.catalogue import ItemScores


class ServedItems(NamedTuple):
    """The items of an answer in order, and what chose each: a recipe, then popularity, then nothing."""

    items: ItemScores
    algorithm: str
    popular_from: int
    """The index of the first item that fills the list up because it is popular."""
    others_from: int
    """The index of the first item that fills the list up because it is for sale."""
    overridden: Container[str] = ()
    """The items that an override put there."""

    @property
    def strategies(self) -> list[str]:
        """Return what chose each item; a single entry if it is the same for all."""
        strategies = [
            OVERRIDE
            if item_id in self.overridden
            else self.algorithm
            if index < self.popular_from
            else POPULARITY
            if index < self.others_from
            else ""
            for index, (item_id, _) in enumerate(self.items)
        ]
        return strategies[:1] if len(set(strategies)) == 1 else strategies


def encode_list(  # noqa: PLR0917 - the facts of `AnswerRecorder.listed`
    id_: str,
    served_at: str,
    surface: str,
    user_id: str | None,
    target: str,
    served: ServedItems,
    source: bytes,
    generation: int | None,
    request: Mapping[str, Any],
) -> bytes:
    """Return the JSON of a `Serving`."""
    return orjson.dumps(
        {
            "recommendation_id": id_,
            "served_at": served_at,
            "surface": surface,
            "user_id": user_id,
            "target": target,
            "item_ids": [item_id for item_id, _ in served.items],
            "strategies": served.strategies,
            "source": source.decode(),
            "generation": generation,
            "request": {name: value for name, value in request.items() if value},
        }
    )
