"""The answers of placements: request one or several, and encode them."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from functools import lru_cache
from typing import TYPE_CHECKING

import orjson

from services.recommender.api.replies import Reply
from services.recommender.domain.properties import property_value
from services.recommender.metrics import PLACEMENTS
from services.recommender.serving.placements.explanations import explain
from services.recommender.serving.placements.request import PlacementRequest

if TYPE_CHECKING:
    from prometheus_client import Counter

    from services.recommender.api.placement_bodies import PagePlacement, PageRequest
    from services.recommender.domain.catalogue import Catalogue
    from services.recommender.serving.assignments import Assignment
    from services.recommender.serving.placements.candidates import Candidate, PlacementAnswer
    from services.recommender.serving.placements.engine import PlacementEngine
    from services.recommender.serving.recorder import AnswerRecorder
    from services.recommender.store.catalogues import Catalogues

CONCURRENT_USERS = 32
"""Users of one call who are answered at the same time. Arbitrary."""
MAX_LABELLED_PLACEMENTS = 100
"""Names of placements that the metric counts separately; later ones are `other`. Arbitrary."""

_BODY = (
    b'{%b"placement":%b,"revision":%b,"recommendations":[%b],"count":%d,"source":"%b","generation":%b,'
    b'"recommendation_id":"%b"%b%b}'
)


class PlacementAnswers:
    """Bodies of answers: the rows that REST answers have, each with the strategy that proposed it."""

    def __init__(self, engine: PlacementEngine, catalogues: Catalogues, recorder: AnswerRecorder) -> None:
        self._engine = engine
        self._catalogues = catalogues
        self._recorder = recorder
        self._labels: set[str] = set()
        self._counters: dict[tuple[str, str], Counter] = {}

    async def reply(self, request: PlacementRequest) -> Reply:
        """Return the answer of a placement; raise ApiError (404) for an unknown one."""
        answer = await self._engine.answer(request)
        id_ = self._recorder.placement(answer).encode()
        reply = Reply(self.encode(answer, id_), answer.source, answer.generation, id_)
        if answer.assignment is not None:
            reply.assigned = answer.assignment.headers
        return reply

    async def answer(self, request: PlacementRequest) -> PlacementAnswer:
        """Return the answer of a placement, not encoded yet; raise ApiError (404) for an unknown one."""
        return await self._engine.answer(request)

    async def page(self, tenant: str, body: PageRequest) -> bytes:
        """Return a page as JSON; raise ApiError (404) for an unknown placement."""
        request = _page_request(tenant, body)
        if not body.users:
            requests = [_part(request, part) for part in body.placements]
            answers = await self._engine.page(requests)
            return b'{"placements":[%b]}' % b",".join([self.record(answer) for answer in answers])
        turns = asyncio.Semaphore(CONCURRENT_USERS)

        async def for_user(user_id: str) -> bytes:
            async with turns:
                answer = await self._engine.answer(replace(request, user_id=user_id))
                return self.record(answer, b'"user_id":%b,' % orjson.dumps(user_id))

        parts = await asyncio.gather(*map(for_user, body.users))
        return b'{"users":[%b]}' % b",".join(parts)

    def record(self, answer: PlacementAnswer, member: bytes = b"") -> bytes:
        """Record an answer, and return its JSON object, which begins with `member`."""
        return self.encode(answer, self._recorder.placement(answer).encode(), member)

    def encode(self, answer: PlacementAnswer, recommendation_id: bytes, member: bytes = b"") -> bytes:
        """Return the JSON object of an answer, which begins with `member`."""
        request = answer.request
        catalogue = self._catalogues.of(request.tenant)
        rows = _rows(answer.items, catalogue, request.columns)
        if not request.is_trial:
            self._count(request.placement, answer.items)
        return _BODY % (
            member,
            orjson.dumps(request.placement),
            _number(answer.revision),
            b",".join(rows),
            len(rows),
            answer.source,
            _number(answer.generation),
            recommendation_id,
            b"" if answer.assignment is None else _variant(answer.assignment),
            _explanation(answer, catalogue) if request.explain else b"",
        )

    def _count(self, placement: str, items: list[Candidate]) -> None:
        strategy = items[0].strategy if items else "none"
        counter = self._counters.get((placement, strategy))
        if counter is None:
            label = placement
            if label not in self._labels and len(self._labels) >= MAX_LABELLED_PLACEMENTS:
                PLACEMENTS.labels("other", strategy).inc()
                return
            self._labels.add(label)
            counter = self._counters[placement, strategy] = PLACEMENTS.labels(label, strategy)
        counter.inc()


def _page_request(tenant: str, body: PageRequest) -> PlacementRequest:
    return PlacementRequest(
        tenant,
        body.placement or "",
        body.user_id,
        body.session_id,
        body.item_id,
        tuple(body.cart),
        body.category or None,
        body.city or None,
        body.province or None,
        body.country or None,
        body.limit,
        body.explain,
        tuple(body.columns),
    )


def _part(page: PlacementRequest, part: str | PagePlacement) -> PlacementRequest:
    """Return the request of one placement of a page."""
    if isinstance(part, str):
        return replace(page, placement=part)
    return replace(
        page,
        placement=part.placement,
        item_id=part.item_id or page.item_id,
        cart=page.cart if part.cart is None else tuple(part.cart),
        category=part.category or page.category,
        limit=part.limit or page.limit,
    )


def _rows(items: list[Candidate], catalogue: Catalogue, columns: tuple[str, ...]) -> list[bytes]:
    rows = [(item.item_id, item.score, _suffix(item.algorithm, item.strategy)) for item in items]
    if columns:
        rows = [(item, score, end[:-1] + _columns(catalogue, item, columns)) for item, score, end in rows]
    return catalogue.encode_rows(rows)


def _columns(catalogue: Catalogue, item_id: str, columns: tuple[str, ...]) -> bytes:
    """Return the end of a row's JSON object with the columns that the item has."""
    properties = catalogue.properties(item_id)
    values = {name: property_value(properties, "item", name) for name in columns}
    return b',"columns":%b}' % orjson.dumps(
        {name: value for name, value in values.items() if value is not None}
    )


@lru_cache(maxsize=1024)
def _suffix(algorithm: str | None, strategy: str) -> bytes:
    """Return the end of a row's JSON object."""
    return b',"algorithm":%b,"strategy":%b}' % (orjson.dumps(algorithm), orjson.dumps(strategy))


def _variant(assignment: Assignment) -> bytes:
    """Return the member that names the variant."""
    name, version, variant, *_ = assignment.answered
    return b',"experiment":' + orjson.dumps({"name": name, "version": version, "variant": variant})


def _number(value: int | None) -> bytes:
    return b"null" if value is None else b"%d" % value


def _explanation(answer: PlacementAnswer, catalogue: Catalogue) -> bytes:
    """Return the member that says how the answer came about."""
    return b',"explanation":' + orjson.dumps(explain(answer, catalogue))
