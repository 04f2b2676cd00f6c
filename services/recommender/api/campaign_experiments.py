"""Experiments on campaigns: a call of the runtime API is answered by the variant of its user."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING, TypeVar

from services.recommender.store.exposures import Shown
from shared.aws import Arn
from shared.aws.personalize.runtime import GetPersonalizedRankingResponse, GetRecommendationsResponse
from shared.experiments import campaign_surface

if TYPE_CHECKING:
    from services.recommender.serving.assignments import Assignment
    from services.recommender.serving.comparisons import Comparisons
    from services.recommender.serving.experiments import Experiments
    from services.recommender.serving.recommendation import ServedVariant
    from services.recommender.serving.targets import Target, TargetResolver
    from services.recommender.store.accounts import Accounts
    from shared.aws_server import Call
    from shared.experiments import Variant

Response = TypeVar("Response", GetRecommendationsResponse, GetPersonalizedRankingResponse)


class CampaignExperiments:
    """Resolves the ARN of a call, which may name a campaign, or only an experiment on its surface."""

    def __init__(
        self,
        experiments: Experiments,
        targets: TargetResolver,
        accounts: Accounts,
        comparisons: Comparisons,
    ) -> None:
        self._experiments = experiments
        self._targets = targets
        self._accounts = accounts
        self._comparisons = comparisons

    async def answer(
        self,
        call: Call,
        arn: str,
        user_id: str | None,
        answer: Callable[[Target, ServedVariant | None], Awaitable[tuple[Response, bytes]]],
        item_ids: Callable[[Target], Awaitable[Sequence[str]]],
    ) -> Response:
        """Return the answer of a target: of the user's variant if an experiment runs, else of the ARN.

        `answer` returns it with the source of its items; `item_ids` returns the items that a target would
        answer with, and records nothing.

        Raise InvalidInputException and ResourceNotFoundException as `TargetResolver.resolve` does.
        """
        assignment = await self._assign(call, arn, user_id) if user_id else None

        began = time.perf_counter()

        async def by_strategy(strategy: str | None) -> tuple[Response, bytes]:
            variant = None if assignment is None else assignment.served(strategy)
            return await answer(await self._target(call, arn, assignment, strategy), variant)

        async def by_variant(variant: Variant) -> Sequence[str]:
            return await item_ids(await self._target(call, arn, assignment, variant.strategy))

        (response, source), exposed = await self._experiments.answer(assignment, by_strategy)
        if exposed is not None:
            call.answer_headers.extend(exposed.headers)
            shown = _shown(response)
            seconds, is_fallback = time.perf_counter() - began, exposed.is_fallback(source)
            self._experiments.expose(exposed, shown, seconds, is_fallback=is_fallback)
            if exposed.is_compared:
                self._comparisons.later(exposed, shown, by_variant)
        return response

    async def _target(
        self, call: Call, arn: str, assignment: Assignment | None, strategy: str | None
    ) -> Target:
        if strategy is None or assignment is None:
            return await self._targets.resolve(call.principal, arn)
        return await self._targets.strategy(assignment.experiment.tenant, strategy)

    async def _assign(self, call: Call, arn: str, user_id: str) -> Assignment | None:
        campaign = Arn.parse(arn, "campaign", "recipe")
        if campaign.kind != "campaign":
            return None
        surface = campaign_surface(campaign.name)
        await self._experiments.read()
        tenant = call.principal.tenant or await self._tenant(call.principal.account, surface)
        return self._experiments.assign(tenant, surface, user_id) if tenant else None

    async def _tenant(self, account: str | None, surface: str) -> str | None:
        """Return the tenant of an account that has an experiment on a surface; None if none has."""
        experimenting = self._experiments.tenants(surface)
        if not experimenting or account is None:
            return None
        tenants = await self._accounts.tenants(account)
        return next((tenant for tenant in experimenting if tenant in tenants), None)


def _shown(response: GetRecommendationsResponse | GetPersonalizedRankingResponse) -> Shown:
    if isinstance(response, GetRecommendationsResponse):
        items = response.item_list
    else:
        items = response.personalized_ranking
    return Shown(response.recommendation_id, tuple(item.item_id for item in items))
