"""The routes that programs of existing shops call, and what they are made of."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from services.recommender.api.audience_answers import AudienceAnswers, segment_router
from services.recommender.api.shopify import ShopifyRoutes
from services.recommender.serving.audiences import Audiences
from services.recommender.store.customers import Customers

if TYPE_CHECKING:
    from collections.abc import Sequence

    from fastapi import APIRouter

    from services.recommender.domain.erased_users import ErasedUsers
    from services.recommender.serving.placements.engine import PlacementEngine
    from services.recommender.serving.recorder import AnswerRecorder
    from services.recommender.store.catalogues import Catalogues
    from shared.auth import Authenticator
    from shared.postgres import Database


class ShopRoutes(NamedTuple):
    """The routers, and the answers for the customers of a place."""

    audiences: AudienceAnswers
    routers: Sequence[APIRouter]

    @classmethod
    def of(
        cls,
        database: Database,
        engine: PlacementEngine,
        catalogues: Catalogues,
        erased_users: ErasedUsers,
        recorder: AnswerRecorder,
        authenticator: Authenticator,
    ) -> ShopRoutes:
        """Return the routes, answered by placements."""
        customers = Customers(database)
        audiences = AudienceAnswers(
            customers, Audiences(engine, catalogues, erased_users), catalogues, recorder
        )
        shopify = ShopifyRoutes(engine, customers, catalogues, recorder, authenticator)
        return cls(audiences, [segment_router(audiences, authenticator), shopify.router()])
