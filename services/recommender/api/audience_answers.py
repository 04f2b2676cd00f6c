"""Answers for the customers of a place or a segment, as shops' dashboards read them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

from fastapi import APIRouter, Depends, Query

from services.recommender.api.audience_bodies import (
    AggregatedItemBody,
    AudienceBody,
    CustomerBody,
    CustomerItem,
    SegmentBody,
)
from services.recommender.api.parameters import Area, Limit
from services.recommender.domain.segments import SEGMENTS, segment_of
from services.recommender.serving.audiences import PLACEMENT
from services.recommender.serving.served_lists import ServedItems
from shared.auth import Authenticator, Principal
from shared.errors import ApiError
from shared.experiments.surfaces import PREFIX
from shared.http.runtime import ErrorBody

if TYPE_CHECKING:
    from collections.abc import Sequence

    from services.recommender.domain.catalogue import Catalogue, ItemScores
    from services.recommender.domain.properties import PropertyValue
    from services.recommender.serving.audiences import Audience, Audiences
    from services.recommender.serving.recorder import AnswerRecorder
    from services.recommender.store.catalogues import Catalogues
    from services.recommender.store.customers import Customers
    from services.recommender.store.lists import Location

SEGMENT_CUSTOMERS = 50
"""Customers of a segment whose items are aggregated: those who spent most."""

_SEGMENT = "by-segment"
"""The target of the answers for segments."""

_UNKNOWN: dict[int | str, dict[str, Any]] = {
    400: {"model": ErrorBody, "description": "There is no such segment."}
}


class AudienceAnswers:
    """Recommendations for many customers at once, aggregated."""

    def __init__(
        self, customers: Customers, audiences: Audiences, catalogues: Catalogues, recorder: AnswerRecorder
    ) -> None:
        self._customers = customers
        self._audiences = audiences
        self._catalogues = catalogues
        self._recorder = recorder

    async def of_place(
        self, tenant: str, location: Location, customer_limit: int, count: int, category: str | None
    ) -> bytes:
        """Return a JSON object: the aggregated items of a place's customers, and each with `count` items."""
        customers = await self._customers.of_place(tenant, location, customer_limit) if customer_limit else []
        audience = await self._audiences.of(tenant, customers, count, category)
        catalogue = self._catalogues.of(tenant)
        body = AudienceBody(
            aggregated_recommendations=_aggregated(audience, catalogue), users=_customers(audience, catalogue)
        )
        return body.model_dump_json().encode()

    async def of_segment(
        self, tenant: str, name: str, location: Location, count: int, category: str | None
    ) -> SegmentBody:
        """Return the items that the customers of a segment get; raise ApiError (400) for an unknown one."""
        segment = segment_of(name)
        if segment is None:
            known = ", ".join(SEGMENTS)
            raise ApiError(400, "UnknownSegment", f"There is no segment {name!r}; there are: {known}.")
        customers = await self._customers.of_segment(tenant, segment, location, SEGMENT_CUSTOMERS)
        audience = await self._audiences.of(tenant, customers, count, category)
        items = _aggregated(audience, self._catalogues.of(tenant))[:count]
        return SegmentBody(
            segment=name,
            aggregated_recommendations=items,
            count=len(items),
            users_analyzed=len(customers),
            recommendation_id=self._record(tenant, name, items, location, category),
        )

    def _record(
        self,
        tenant: str,
        segment: str,
        items: Sequence[AggregatedItemBody],
        location: Location,
        category: str | None,
    ) -> str:
        """Record the items of a segment; return the id of the answer."""
        scores: ItemScores = [(item.product_id, item.avg_score) for item in items]
        places = dict(zip(("city", "province", "country"), location, strict=True))
        request = {"segment": segment, "category": category, **places}
        served = ServedItems(scores, PLACEMENT, len(scores), len(scores))
        return self._recorder.listed(tenant, "rest", None, _SEGMENT, served, b"", None, request)


def segment_router(answers: AudienceAnswers, authenticator: Authenticator) -> APIRouter:
    """Return the route of segments."""
    router = APIRouter(tags=["Recommendations"])
    reader = Depends(authenticator.require("read"))

    @router.get(
        f"{PREFIX}/recommendations/by-segment", operation_id="recommendations_by_segment", responses=_UNKNOWN
    )
    async def by_segment(
        segment: Annotated[str, Query(max_length=64, description=", ".join(SEGMENTS))],
        limit: Limit,
        province: Area = None,
        city: Area = None,
        country: Area = None,
        category: Area = None,
        principal: Principal = reader,
    ) -> SegmentBody:
        """Return what the customers of a segment get: one of recency, orders and spending."""
        return await answers.of_segment(
            principal.own_tenant, segment, (city, province, country), limit, category
        )

    return router


def _aggregated(audience: Audience, catalogue: Catalogue) -> list[AggregatedItemBody]:
    bodies = []
    for item in audience.aggregated:
        properties = catalogue.properties(item.item_id)
        bodies.append(
            AggregatedItemBody(
                product_id=item.item_id,
                product_name=_text(properties.get("name")),
                category=_text(properties.get("category")),
                price=_number(properties.get("price")),
                avg_score=item.mean_score,
                recommended_to_users=item.customers,
            )
        )
    return bodies


def _customers(audience: Audience, catalogue: Catalogue) -> list[CustomerBody]:
    bodies = []
    for customer, items in audience.customers:
        rows = []
        for item in items:
            properties = catalogue.properties(item.item_id)
            rows.append(
                CustomerItem(
                    product_id=item.item_id,
                    product_name=_text(properties.get("name")),
                    price=_number(properties.get("price")),
                    score=item.score,
                    algorithm=item.algorithm,
                )
            )
        bodies.append(
            CustomerBody(
                customer_id=customer.user_id,
                customer_name=customer.name,
                city=customer.city,
                province=customer.province,
                recommendations=rows,
            )
        )
    return bodies


def _text(value: PropertyValue | None) -> str | None:
    return None if value is None else str(value)


def _number(value: PropertyValue | None) -> float | None:
    return value if isinstance(value, float) else None
