"""The routes of experiments that dashboards of existing shops call: which variant, which algorithms.

See docs/experiments.md.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal

from fastapi import APIRouter, Depends, Path, Query, Response
from pydantic import BaseModel, Field

from services.recommender.api.parameters import DashboardLimit
from services.recommender.domain.recipes import USER
from shared.auth import Authenticator, Principal
from shared.errors import ApiError
from shared.events.values import Name
from shared.experiments import RECOMMENDATIONS

if TYPE_CHECKING:
    from services.recommender.api.rest_answers import RestAnswers
    from services.recommender.serving.experiments import Experiments
    from shared.experiments import Experiment

PREFIX = "/api/v1"


class VariantBody(BaseModel):
    """The variant of a user."""

    variant: Literal["treatment", "control"] = Field(description="control for the first variant, and outside")
    algorithm: Literal["ml", "sql"]
    rollout_percentage: float = Field(description="share of all users who get another variant than the first")
    name: str | None = Field(description="the name of the variant")


class Algorithm(BaseModel):
    """A variant of the experiment on recommendations."""

    id: str
    name: str
    weight: float = Field(description="share of the units that take part")
    is_default: bool


class Algorithms(BaseModel):
    """The variants of the experiment on recommendations; without one, the usual answer."""

    algorithms: list[Algorithm]


class AbTestRoutes:
    """Routes that name variants. Naming one is no exposure; an answer by one is."""

    def __init__(self, answers: RestAnswers, experiments: Experiments, authenticator: Authenticator) -> None:
        self._answers = answers
        self._experiments = experiments
        self._caller = Depends(authenticator.require("recommend"))

    def router(self) -> APIRouter:
        """Return all routes."""
        router = APIRouter(prefix=PREFIX, tags=["Experiments"])
        caller = self._caller

        @router.get("/ab-test/variant", operation_id="ab_test_variant")
        async def variant(
            dashboard: Annotated[Name, Query(description="the name of the experiment")],
            user_id: Annotated[Name | None, Query(description="without it, control")] = None,
            principal: Principal = caller,
        ) -> VariantBody:
            """Return the variant of a user; control for an unknown experiment."""
            return await self._variant(principal.own_tenant, dashboard, user_id)

        @router.get("/ml/ab-test/config", operation_id="ab_test_config")
        async def config(principal: Principal = caller) -> Algorithms:
            """Return the variants of the experiment on recommendations."""
            experiment = await self._running(principal.own_tenant)
            if experiment is None:
                usual = Algorithm(id="usual", name=USER, weight=1.0, is_default=True)
                return Algorithms(algorithms=[usual])
            total = sum(each.weight for each in experiment.variants)
            return Algorithms(
                algorithms=[
                    Algorithm(
                        id=each.name,
                        name=each.strategy or USER,
                        weight=each.weight / total,
                        is_default=number == 0,
                    )
                    for number, each in enumerate(experiment.variants)
                ]
            )

        @router.get("/ml/ab-test/recommendations/{user_id}", operation_id="ab_test_recommendations")
        async def recommendations(
            user_id: Annotated[Name, Path()],
            count: DashboardLimit = 10,
            algorithm: Annotated[
                Name | None, Query(description="an id of the configuration; by default the user's variant")
            ] = None,
            principal: Principal = caller,
        ) -> Response:
            """Return recommendations of the user's variant, or of a named one, which is no exposure.

            Raise ApiError (400) for an unknown algorithm.
            """
            tenant = principal.own_tenant
            if algorithm is None:
                reply = await self._answers.for_user(tenant, user_id, count, None, USER)
            else:
                strategy = await self._strategy(tenant, algorithm)
                reply = await self._answers.by_strategy(tenant, user_id, count, strategy, USER)
            response = Response(reply.body)
            response.raw_headers = reply.headers
            return response

        return router

    async def _variant(self, tenant: str, name: str, user_id: str | None) -> VariantBody:
        await self._experiments.read()
        experiment = self._experiments.named(tenant, name)
        if experiment is None or user_id is None:
            return VariantBody(variant="control", algorithm="sql", rollout_percentage=0, name=None)
        variant = self._experiments.peek(experiment, user_id)
        first = experiment.variants[0]
        share = 1 - first.weight / sum(each.weight for each in experiment.variants)
        is_treatment = variant in experiment.variants[1:]
        return VariantBody(
            variant="treatment" if is_treatment else "control",
            algorithm="ml" if is_treatment else "sql",
            rollout_percentage=round(experiment.traffic * share * 100, 4),
            name=None if variant is None else variant.name,
        )

    async def _running(self, tenant: str) -> Experiment | None:
        await self._experiments.read()
        return next(iter(self._experiments.on(tenant, RECOMMENDATIONS)), None)

    async def _strategy(self, tenant: str, algorithm: str) -> str | None:
        """Return the strategy of a variant; raise ApiError (400) for an unknown one."""
        experiment = await self._running(tenant)
        known: dict[str, Any] = {"usual": None}
        if experiment is not None:
            known |= {variant.name: variant.strategy for variant in experiment.variants}
        if algorithm not in known:
            detail = f"There is no algorithm {algorithm!r}, only {', '.join(known)}."
            raise ApiError(400, "UnknownAlgorithm", detail)
        strategy: str | None = known[algorithm]
        return strategy
