"""The routes that a Shopify theme's script calls: similar, personal and popular products.

See docs/placements.md.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from fastapi import APIRouter, Depends, Path, Query
from pydantic import BaseModel, Field

from services.recommender.api.parameters import MAX_LIMIT, Area
from services.recommender.domain.properties import property_value
from services.recommender.serving.placements.request import PlacementRequest
from services.recommender.serving.recommendation import POPULAR
from shared.auth import Authenticator, Principal
from shared.events.envelope import Name, Text
from shared.events.placements import Placement, StrategyUse

if TYPE_CHECKING:
    from services.recommender.domain.catalogue import Catalogue
    from services.recommender.serving.placements.candidates import Candidate
    from services.recommender.serving.placements.engine import PlacementEngine
    from services.recommender.serving.recorder import AnswerRecorder
    from services.recommender.store.catalogues import Catalogues
    from services.recommender.store.customers import Customers

PREFIXES = ("/shopify", "/api/v1/shopify")
DEFAULT_LIMIT = 6

_SIMILAR = Placement(strategies=(StrategyUse(strategy="similar"),), fill_up=False)
_POPULAR = Placement(strategies=(StrategyUse(strategy="popular"),))
_ID = "the id of this answer: events with it are attributed to it"
_IMAGES = ("image_url", "image", "images", "featured_image")
_HANDLES = ("shopify_handle", "handle")

Limit = Annotated[int, Query(ge=1, le=MAX_LIMIT)]
SessionId = Annotated[Name | None, Query(alias="mg_session_id", description="the visitor's session")]


class ProductRow(BaseModel):
    """A product as the theme's script shows it."""

    item_id: str
    item_name: str | None
    shopify_handle: str | None = Field(description="the item's attribute of that name, or `handle`")
    image_url: str | None = Field(
        description="the item's attribute image_url, image, images or featured_image"
    )
    price: float | None
    score: float | None


class SimilarProducts(BaseModel):
    """Products that go with a product; without any, `success` is false."""

    success: bool
    similar_products: list[ProductRow]
    recommendation_id: str = Field(description=_ID)


class CustomerRecommendations(BaseModel):
    """Products for a customer."""

    success: bool
    recommendations: list[ProductRow]
    recommendation_type: str = Field(description="personalized, cart, similar or popular")
    recommendation_id: str = Field(description=_ID)


class PopularProducts(BaseModel):
    """Products that are popular near the visitor, then everywhere."""

    success: bool
    popular_products: list[ProductRow]
    recommendation_id: str = Field(description=_ID)


class CustomerRequest(BaseModel):
    """A customer, by telephone or e-mail, and what they look at."""

    customer_phone: Text | None = None
    customer_email: Text | None = None
    current_product: Name | None = None
    cart_items: list[Name] = Field([], max_length=100)
    mg_session_id: Name | None = None
    city: Text | None = None
    province: Text | None = None
    limit: int = Field(DEFAULT_LIMIT, ge=1, le=MAX_LIMIT)


class ShopifyRoutes:
    """The routes, answered by placements."""

    def __init__(
        self,
        engine: PlacementEngine,
        customers: Customers,
        catalogues: Catalogues,
        recorder: AnswerRecorder,
        authenticator: Authenticator,
    ) -> None:
        self._engine = engine
        self._recorder = recorder
        self._customers = customers
        self._catalogues = catalogues
        self._caller = Depends(authenticator.require("recommend"))

    def router(self) -> APIRouter:
        """Return all routes."""
        router = APIRouter(tags=["Shopify"])
        for prefix in PREFIXES:
            self._add(router, prefix)
        return router

    def _add(self, router: APIRouter, prefix: str) -> None:
        suffix = "" if prefix == PREFIXES[0] else "_v1"

        @router.get(f"{prefix}/similar/{{product_id:path}}", operation_id=f"shopify_similar{suffix}")
        async def similar(
            product_id: Annotated[Name, Path()],
            limit: Limit = DEFAULT_LIMIT,
            session_id: SessionId = None,
            city: Area = None,
            province: Area = None,
            principal: Principal = self._caller,
        ) -> SimilarProducts:
            """Return products that go with a product."""
            request = PlacementRequest(
                principal.own_tenant,
                "product",
                session_id=session_id,
                item_id=product_id,
                city=city,
                province=province,
                limit=limit,
            )
            rows, id_ = await self._answer(request, _SIMILAR)
            return SimilarProducts(success=bool(rows), similar_products=rows, recommendation_id=id_)

        @router.get(f"{prefix}/popular", operation_id=f"shopify_popular{suffix}")
        async def popular(
            limit: Limit = DEFAULT_LIMIT,
            session_id: SessionId = None,
            city: Area = None,
            province: Area = None,
            principal: Principal = self._caller,
        ) -> PopularProducts:
            """Return products that are popular near the visitor, then everywhere."""
            request = PlacementRequest(
                principal.own_tenant,
                "home",
                session_id=session_id,
                city=city,
                province=province,
                limit=limit,
            )
            rows, id_ = await self._answer(request, _POPULAR)
            return PopularProducts(success=True, popular_products=rows, recommendation_id=id_)

        @router.post(f"{prefix}/recommendations", operation_id=f"shopify_recommendations{suffix}")
        async def recommendations(
            body: CustomerRequest, principal: Principal = self._caller
        ) -> CustomerRecommendations:
            """Return products for a customer: those that go with the cart or the product, else personal ones.

            The placements cart, product and home answer. A customer whom nobody knows counts as a guest. To
            find a customer, by telephone or e-mail, the key needs the scope `read`.
            """
            if body.customer_phone or body.customer_email:
                principal.may("read")
            return await self._for_customer(principal.own_tenant, body)

    async def _for_customer(self, tenant: str, body: CustomerRequest) -> CustomerRecommendations:
        user_id = await self._customers.find(tenant, body.customer_phone, body.customer_email)
        placement, kind = "home", "personalized"
        if body.cart_items:
            placement, kind = "cart", "cart"
        elif body.current_product:
            placement, kind = "product", "similar"
        request = PlacementRequest(
            tenant,
            placement,
            user_id=user_id,
            session_id=body.mg_session_id,
            item_id=body.current_product,
            cart=tuple(body.cart_items),
            city=body.city,
            province=body.province,
            limit=body.limit,
        )
        answer = await self._engine.answer(request)
        catalogue = self._catalogues.of(tenant)
        return CustomerRecommendations(
            success=True,
            recommendations=[_row(item, catalogue) for item in answer.items],
            recommendation_type="popular" if answer.source == POPULAR else kind,
            recommendation_id=self._recorder.placement(answer),
        )

    async def _answer(self, request: PlacementRequest, placement: Placement) -> tuple[list[ProductRow], str]:
        """Return the rows of an answer, and its id."""
        answer = await self._engine.answer(request, placement)
        catalogue = self._catalogues.of(request.tenant)
        return [_row(item, catalogue) for item in answer.items], self._recorder.placement(answer)


def _row(item: Candidate, catalogue: Catalogue) -> ProductRow:
    properties = catalogue.properties(item.item_id)

    def first(columns: tuple[str, ...]) -> str | None:
        values = (property_value(properties, "item", column) for column in columns)
        text = next((str(value) for value in values if value is not None), None)
        return None if text is None else text.partition("|")[0]  # the first of several images

    name, price = properties.get("name"), properties.get("price")
    return ProductRow(
        item_id=item.item_id,
        item_name=None if name is None else str(name),
        shopify_handle=first(_HANDLES),
        image_url=first(_IMAGES),
        price=price if isinstance(price, float) else None,
        score=item.score,
    )
