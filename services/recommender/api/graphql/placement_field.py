"""The field `placement`: what a shop shows at one place of its pages."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import orjson

from services.recommender.api.graphql.errors import BAD_REQUEST, FieldError
from services.recommender.api.graphql.values import NULL, checked_id, checked_limit
from services.recommender.api.placement_parameters import MAX_CART_ITEMS
from services.recommender.serving.placements.request import PlacementRequest

if TYPE_CHECKING:
    from collections.abc import Callable

    from services.recommender.serving.placements.candidates import Candidate
    from services.recommender.serving.placements.engine import PlacementEngine
    from services.recommender.serving.recorder import AnswerRecorder
    from services.recommender.store.catalogues import Catalogues

    EncodedCategory = Callable[[str, str], bytes]
    """Returns the category of an item of a tenant as JSON."""


class PlacementField:
    """Resolves the field with the engine of placements."""

    def __init__(
        self,
        engine: PlacementEngine,
        catalogues: Catalogues,
        category: EncodedCategory,
        recorder: AnswerRecorder,
    ) -> None:
        self._engine = engine
        self._catalogues = catalogues
        self._category = category
        self._recorder = recorder

    async def resolve(self, tenant: str, arguments: Mapping[str, Any]) -> Any:
        """Return the tuple of `PlacementAnswer`; raise FieldError, and ApiError (404) for an unknown name."""
        cart = arguments.get("cart") or ()
        if len(cart) > MAX_CART_ITEMS:
            raise FieldError(BAD_REQUEST, f"cart may have {MAX_CART_ITEMS} items.")
        answer = await self._engine.answer(
            PlacementRequest(
                tenant,
                checked_id("name", arguments["name"]),
                user_id=_optional(arguments, "userId"),
                session_id=_optional(arguments, "sessionId"),
                item_id=_optional(arguments, "itemId"),
                cart=tuple(checked_id("an item of cart", item) for item in cart),
                category=_optional(arguments, "category"),
                limit=checked_limit(arguments.get("limit"), None),
            )
        )
        catalogue = self._catalogues.of(tenant)
        answer.remove(catalogue.is_withdrawn)
        variant = None if answer.assignment is None else answer.assignment.answered
        return (
            orjson.dumps(answer.request.placement),
            orjson.dumps(answer.revision),
            [self._row(tenant, item) for item in answer.items],
            b'"%b"' % answer.source,
            orjson.dumps(answer.generation),
            b'"%b"' % self._recorder.placement(answer, surface="graphql").encode(),
            NULL if variant is None else orjson.dumps(variant.experiment),
            NULL if variant is None else orjson.dumps(variant.name),
        )

    def _row(self, tenant: str, item: Candidate) -> tuple[bytes, ...]:
        """Return the tuple of `PlacementItem`."""
        return (
            orjson.dumps(item.item_id),
            NULL if item.score is None else b"%r" % item.score,
            self._category(tenant, item.item_id),
            orjson.dumps(item.algorithm),
            orjson.dumps(item.strategy),
        )


def _optional(arguments: Mapping[str, Any], name: str) -> str | None:
    value = arguments.get(name)
    return checked_id(name, value) if value else None
