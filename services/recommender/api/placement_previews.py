"""The preview of a placement: what a changed definition would change in the answers to recent requests."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, Any

from fastapi import APIRouter, Depends, Path, Query, Request
from pydantic import BaseModel, Field

from services.recommender.api.placement_parameters import Fields
from services.recommender.serving.placements.explanations import drop_sentence, sentence
from services.recommender.serving.placements.request import PlacementRequest
from shared.auth import Authenticator, Principal
from shared.errors import ApiError, Permanent, Transient, unavailable
from shared.events.placements import Placement, PlacementName
from shared.filters.placement_definitions import parse
from shared.http.runtime import ErrorBody

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from services.recommender.serving.placements.candidates import Candidate
    from services.recommender.serving.placements.previews import AnswerChange, Previews, RemovedItem
    from services.recommender.store.catalogues import Catalogues

PREFIX = "/v1/placements"
DEFAULT_REQUESTS, MAX_REQUESTS = 20, 100
"""Recent requests that a preview repeats. Arbitrary."""

_OUTRANKED = "Other items come first, or no strategy proposes it"


class PreviewedItem(BaseModel):
    """An item with its position, from 1."""

    product_id: str
    product_name: str | None
    position: int


class AddedItem(PreviewedItem):
    """An item that comes into the answer."""

    strategy: str
    sentence: str = Field(description="why it is there, for the visitor")


class MovedItem(PreviewedItem):
    """An item that stays at another position."""

    previous_position: int


class GoneItem(BaseModel):
    """An item that goes."""

    product_id: str
    product_name: str | None
    previous_position: int
    step: str | None = Field(description="the step that leaves it out; null if other items come first")
    sentence: str = Field(description="why it goes")


class PreviewedAnswer(BaseModel):
    """The answer to one request, and its difference from the answer of the placement as it is."""

    user_id: str | None
    session_id: str | None
    item_id: str | None
    cart: list[str]
    category: str | None
    product_ids: list[str] = Field(description="the items of the changed placement, in order")
    added: list[AddedItem]
    removed: list[GoneItem]
    moved: list[MovedItem]


class Preview(BaseModel):
    """The effects of a changed definition on recent requests, or on the request that the caller names."""

    placement: str
    revision: int | None = Field(description="of the placement as it is; null for a default or a new one")
    is_new: bool = Field(description="whether there is no placement of that name yet")
    requests: int
    changed: int = Field(description="requests whose answer would differ")
    added: int = Field(description="items that would come, in all answers together")
    removed: int
    moved: int
    answers: list[PreviewedAnswer]


Named = Annotated[PlacementName, Path(description="the name of a placement, also of one that is not defined")]
Count = Annotated[
    int, Query(ge=1, le=MAX_REQUESTS, description="how many of the last requests are answered anew")
]

_ERRORS: dict[int | str, dict[str, Any]] = {
    400: {"model": ErrorBody, "description": "The definition is invalid; the detail names each member."},
    409: {"model": ErrorBody, "description": "The placement was not requested lately: name a visitor."},
    503: {"model": ErrorBody, "description": "Kafka, which has the recent requests, is not reachable."},
}


class PreviewRoutes:
    """The route."""

    def __init__(self, previews: Previews, catalogues: Catalogues, authenticator: Authenticator) -> None:
        self._previews = previews
        self._catalogues = catalogues
        self._editor = Depends(authenticator.require("admin", "placements"))

    def router(self) -> APIRouter:
        """Return the route."""
        router = APIRouter(tags=["Placements"])

        @router.post(f"{PREFIX}/{{name}}/preview", operation_id="preview_placement", responses=_ERRORS)
        async def preview(
            name: Named,
            request: Request,
            placement: Placement,  # noqa: ARG001 - documents the body, which is parsed once more below
            fields: Fields,
            requests: Count = DEFAULT_REQUESTS,
            principal: Principal = self._editor,
        ) -> Preview:
            """Say which items a changed placement would add, remove and move in the answers to requests.

            The body is a definition as `PUT /v1/placements/{name}` of the engine takes it; it is not stored.
            Without a visitor, item, cart, category or place, the last requests of the placement are repeated.
            """
            named = PlacementRequest(principal.own_tenant, name, **fields)
            return await self._preview(named, await request.body(), requests)

        return router

    async def _preview(self, named: PlacementRequest, body: bytes, count: int) -> Preview:
        try:
            placement = parse(body)
            await self._previews.check(named.tenant, placement)
        except Permanent as error:
            raise ApiError(400, "InvalidPlacement", str(error)) from None
        changes = await self._previews.compare(await self._requests(named, count), placement)
        return _body(named, changes, self._name_of(named.tenant))

    async def _requests(self, named: PlacementRequest, count: int) -> list[PlacementRequest]:
        """Return the request that the caller names, else the recent ones, with its limit if it has one."""
        if named != PlacementRequest(named.tenant, named.placement, limit=named.limit, explain=named.explain):
            return [named]
        try:
            requests = await self._previews.recent(named.tenant, named.placement, count)
        except Transient:
            raise unavailable("Kafka, which has the recent requests, or Redis") from None
        if not requests:
            detail = (
                f"The placement {named.placement!r} was not requested lately, so there is nothing to repeat. "
                "Name a visitor or an item as GET /api/v1/placements/{name} takes them, such as ?user_id=…"
            )
            raise ApiError(409, "NoRecentRequests", detail)
        if named.limit is None:
            return requests
        return [replace(each, limit=named.limit) for each in requests]

    def _name_of(self, tenant: str) -> Callable[[str], str | None]:
        catalogue = self._catalogues.of(tenant)

        def name_of(item_id: str) -> str | None:
            name = catalogue.properties(item_id).get("name")
            return None if name is None else str(name)

        return name_of


def _body(
    named: PlacementRequest, changes: Sequence[AnswerChange], name_of: Callable[[str], str | None]
) -> Preview:
    return Preview(
        placement=named.placement,
        revision=changes[0].revision,
        is_new=changes[0].is_new,
        requests=len(changes),
        changed=sum(not each.is_empty for each in changes),
        added=sum(len(each.added) for each in changes),
        removed=sum(len(each.removed) for each in changes),
        moved=sum(len(each.moved) for each in changes),
        answers=[_answer(each, name_of) for each in changes],
    )


def _answer(change: AnswerChange, name_of: Callable[[str], str | None]) -> PreviewedAnswer:
    def why(item: Candidate) -> str:
        return sentence(item, lambda item_id: name_of(item_id) or item_id)

    request = change.request
    return PreviewedAnswer(
        user_id=request.user_id,
        session_id=request.session_id,
        item_id=request.item_id,
        cart=list(request.cart),
        category=request.category,
        product_ids=[item.item_id for item in change.items],
        added=[
            AddedItem(
                product_id=item.item_id,
                product_name=name_of(item.item_id),
                position=position,
                strategy=item.strategy,
                sentence=why(item),
            )
            for item, position, _ in change.added
        ],
        removed=[_gone(each, name_of) for each in change.removed],
        moved=[
            MovedItem(
                product_id=item.item_id,
                product_name=name_of(item.item_id),
                position=position,
                previous_position=previous or position,
            )
            for item, position, previous in change.moved
        ],
    )


def _gone(removed: RemovedItem, name_of: Callable[[str], str | None]) -> GoneItem:
    step = None if removed.dropped is None else removed.dropped.step
    return GoneItem(
        product_id=removed.item.item_id,
        product_name=name_of(removed.item.item_id),
        previous_position=removed.previous,
        step=step,
        sentence=_OUTRANKED if step is None else drop_sentence(step),
    )
