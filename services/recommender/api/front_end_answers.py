"""Answers for front ends that ask for a variant: `POST /recommendations` and `POST /` with a `user_id`.

The same path takes GetRecommendations of Amazon Personalize, whose body names a campaign or a recommender.

See docs/experiments.md.
"""

from __future__ import annotations

import time
from collections.abc import Container
from typing import TYPE_CHECKING, Any, Final

import orjson
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from services.recommender.api.interleaved_lists import ListRequest, strategy_of
from services.recommender.domain.properties import property_value
from services.recommender.domain.recipes import AFFINITY, USER
from services.recommender.serving.recommendation import POPULAR
from services.recommender.store.exposures import Shown
from shared.aws_server.operations import Answer
from shared.errors import ApiError
from shared.events.values import Document, Name
from shared.experiments import AFFINITY as AFFINITY_SURFACE
from shared.experiments import RECOMMENDATIONS
from shared.http.devices import REQUEST_HEADERS
from shared.http.request_bodies import members_with

if TYPE_CHECKING:
    from starlette.types import Scope

    from services.recommender.api.replies import Reply
    from services.recommender.api.rest_answers import RestAnswers
    from services.recommender.serving.assignments import Assignment
    from services.recommender.serving.experiments import Experiments
    from services.recommender.store.catalogues import Catalogues
    from shared.auth import Authenticator
    from shared.http.raw_routes import RawRoutes

PATHS: Final = frozenset({"/", "/recommendations"})
MOST_RESULTS: Final = 500
_JSON: Final = [(b"content-type", b"application/json")]
_LISTS: Final = {RECOMMENDATIONS: USER, AFFINITY_SURFACE: AFFINITY}
_FALLBACK: Final = "No list is known for this user; popular items are shown."


class FrontEndRequest(BaseModel):
    """A request for the items of a user's variant."""

    model_config = ConfigDict(coerce_numbers_to_str=True)

    user_id: Name
    test_name: Name | None = Field(None, description="the experiment; by default that of recommendations")
    num_results: int = Field(10, ge=1, le=MOST_RESULTS)
    session_id: Name | None = None
    context: Document | None = None


class FrontEndAnswers:
    """Answers these requests, and passes the others on to the routes of Amazon Personalize."""

    def __init__(
        self,
        runtime: RawRoutes,
        answers: RestAnswers,
        experiments: Experiments,
        catalogues: Catalogues,
        authenticator: Authenticator,
    ) -> None:
        self._runtime = runtime
        self._answers = answers
        self._experiments = experiments
        self._catalogues = catalogues
        self._authenticator = authenticator

    @property
    def paths(self) -> Container[str]:
        """Return the paths that are answered."""
        return _Paths(self._runtime.paths)

    async def answer(self, scope: Scope, body: bytes) -> Any:
        """Answer a raw ASGI request; an error is `{"error": sentence}`, as these front ends read it."""
        REQUEST_HEADERS.set(dict(scope["headers"]))
        request = members_with(body, "user_id") if scope["path"] in PATHS else None
        if request is None and scope["path"] in self._runtime.paths:
            return await self._runtime.answer(scope, body)
        try:
            principal = await self._authenticator.of_scope(scope, body)
            parsed = FrontEndRequest.model_validate(request or {})
            return await self._answer(principal.may("recommend").own_tenant, parsed)
        except ValidationError as error:
            problems = "; ".join(f"{each['loc'][0]}: {each['msg']}" for each in error.errors())
            return Answer(400, _JSON, orjson.dumps({"error": problems}))
        except ApiError as error:
            return Answer(error.status, _JSON, orjson.dumps({"error": error.detail}))

    async def _answer(self, tenant: str, request: FrontEndRequest) -> Answer:
        await self._experiments.read()
        began = time.perf_counter()
        named = request.test_name
        if named is None:
            assigned = self._experiments.assign(tenant, RECOMMENDATIONS, request.user_id, request.session_id)
        else:
            assigned = self._experiments.assign_named(tenant, named, request.user_id, request.session_id)
        reply, exposed = await self._reply(tenant, request, assigned)
        rows = self._rows(tenant, reply)
        if exposed is not None:
            shown = Shown(reply.recommendation_id.decode(), tuple(row["item_id"] for row in rows))
            seconds, is_fallback = time.perf_counter() - began, exposed.is_fallback(reply.source)
            self._experiments.expose(exposed, shown, seconds, is_fallback=is_fallback)
            self._answers.compare(_list_request(tenant, request, exposed), exposed, shown)
        strategy = None if exposed is None else _strategy(exposed)
        document: dict[str, Any] = {
            "user_id": request.user_id,
            "test_name": None if exposed is None else exposed.experiment.name,
            "variant": None if exposed is None else exposed.variant.name,
            "model_config": _model_config(strategy, exposed),
            "recommendations": rows,
            "recommendation_id": reply.recommendation_id.decode(),
        }
        if named is not None and exposed is None:
            document["warning"] = f"The user takes part in no running experiment {named!r}."
        if reply.source == POPULAR:
            document |= {"fallback": True, "warning": document.get("warning", _FALLBACK)}
        headers = [*_JSON, *(() if exposed is None else exposed.headers)]
        return Answer(200, headers, orjson.dumps(document))

    async def _reply(
        self, tenant: str, request: FrontEndRequest, assigned: Assignment | None
    ) -> tuple[Reply, Assignment | None]:
        """Return the answer of a variant, or of several; the usual one if it can't be given."""
        if assigned is None or not assigned.is_interleaved:
            return await self._experiments.answer(
                assigned, lambda strategy: self._by_strategy(tenant, request, assigned, strategy)
            )
        of_list = _list_request(tenant, request, assigned)
        return await self._experiments.interleave(
            assigned,
            lambda: self._answers.interleaved(of_list, assigned),
            lambda: self._by_strategy(tenant, request, None, None),
        )

    async def _by_strategy(
        self, tenant: str, request: FrontEndRequest, assigned: Assignment | None, strategy: str | None
    ) -> Reply:
        variant = None if assigned is None else assigned.served(strategy)
        if strategy is None and assigned is not None:
            strategy = _strategy(assigned)
        return await self._answers.by_strategy(
            tenant, request.user_id, request.num_results, strategy, USER, request.session_id, variant
        )

    def _rows(self, tenant: str, reply: Reply) -> list[dict[str, Any]]:
        """Return the items with the columns that these front ends show."""
        catalogue = self._catalogues.of(tenant)
        rows = []
        for row in orjson.loads(reply.body)["recommendations"]:
            properties = catalogue.properties(row["product_id"])
            columns = {
                name: property_value(properties, "item", name)
                for name in ("category", "brand", "creation_date")
            }
            item = {"item_id": row["product_id"], "score": row.get("score"), "price": row.get("price")}
            rows.append(item | columns)
        return rows


class _Paths(Container[str]):
    def __init__(self, runtime: Container[str]) -> None:
        self._runtime = runtime

    def __contains__(self, path: object) -> bool:
        return path in PATHS or path in self._runtime


def _strategy(assigned: Assignment) -> str | None:
    """Return the strategy of a variant: its own, else the campaign or the lists of the surface."""
    surface = assigned.experiment.surface
    strategy = strategy_of(assigned.variant, surface)
    return AFFINITY if strategy is None and surface == AFFINITY_SURFACE else strategy


def _list_request(tenant: str, request: FrontEndRequest, assigned: Assignment) -> ListRequest:
    surface = assigned.experiment.surface
    recipe = _LISTS.get(surface, USER)
    return ListRequest(
        tenant, request.user_id, None, request.num_results, recipe, request.session_id, surface
    )


def _model_config(strategy: str | None, exposed: Assignment | None) -> dict[str, Any]:
    is_campaign = strategy is not None and strategy.startswith("arn:")
    name = "the usual answer" if exposed is None else f"variant {exposed.variant.name}"
    return {
        "recipe": None if is_campaign else strategy or USER,
        "campaign_arn": strategy if is_campaign else None,
        "description": f"{name}, by {strategy or USER}",
    }
