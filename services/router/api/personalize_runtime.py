"""The runtime API of Amazon Personalize, passed on to the recommender."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

import orjson

from shared.aws import Arn, WireError, WireModel, not_found
from shared.aws.personalize.runtime import GetPersonalizedRankingRequest, GetRecommendationsRequest
from shared.aws_server import Call, Operation, RestJson
from shared.aws_server.operations import declined
from shared.experiments import campaign_surface

if TYPE_CHECKING:
    from services.router.store.accounts import Accounts
    from services.router.store.running_experiments import RunningExperiments
    from services.router.store.upstream import Upstream
    from services.router.store.upstream_connection import Reply
    from shared.auth import Authenticator, Principal

RuntimeRequest = GetRecommendationsRequest | GetPersonalizedRankingRequest


class PersonalizeRuntime:
    """GetRecommendations and GetPersonalizedRanking: verified here, answered by the recommender."""

    def __init__(
        self,
        upstream: Upstream,
        running: RunningExperiments,
        accounts: Accounts,
        authenticator: Authenticator,
    ) -> None:
        self._upstream = upstream
        self._running = running
        self._accounts = accounts
        self.routes = RestJson(
            authenticator,
            {
                "/recommendations": Operation(
                    "GetRecommendations",
                    GetRecommendationsRequest,
                    "recommend",
                    self._operation("/recommendations"),
                ),
                "/personalize-ranking": Operation(
                    "GetPersonalizedRanking",
                    GetPersonalizedRankingRequest,
                    "recommend",
                    self._operation("/personalize-ranking"),
                ),
                "/action-recommendations": declined("GetActionRecommendations", WireModel),
            },
        )

    def _operation(self, path: str) -> Callable[[Call, RuntimeRequest], Awaitable[dict[str, Any]]]:
        async def handle(call: Call, request: RuntimeRequest) -> dict[str, Any]:
            return await self._answer(path, call, request)

        return handle

    async def _answer(self, path: str, call: Call, request: RuntimeRequest) -> dict[str, Any]:
        tenant = await self._tenant(call.principal, request)
        body = orjson.dumps(request.model_dump(by_alias=True, exclude_none=True))
        reply = await self._upstream.call(
            tenant, "POST", path.encode(), body, {"content-type": "application/json"}
        )
        call.answer_headers.extend(header for header in reply.headers if header[0].startswith(b"x-"))
        return _members(reply)

    async def _tenant(self, principal: Principal, request: RuntimeRequest) -> str:
        """Return the tenant of the credentials; for a key pair, that of the experiment or the campaign."""
        if principal.account is None:
            return principal.own_tenant
        campaign = _campaign(request)
        tenants = await self._accounts.tenants(principal.account)
        surface = campaign_surface(campaign)
        owner = next((tenant for tenant in tenants if self._running.on_surface(tenant, surface)), None)
        owner = owner or await self._accounts.tenant_of_campaign(principal.account, campaign)
        if owner is None:
            kind, _, name = campaign.rpartition("/")
            raise not_found(f"There is no {kind or 'campaign'} {name!r} here. Create it, or check the ARN.")
        return owner


def _campaign(request: RuntimeRequest) -> str:
    """Return the engine's name of the campaign or recommender."""
    if isinstance(request, GetRecommendationsRequest) and request.recommender_arn is not None:
        return f"recommender/{Arn.parse(request.recommender_arn, 'recommender').name}"
    return Arn.parse(request.campaign_arn or "", "campaign").name


def _members(reply: Reply) -> dict[str, Any]:
    """Return the members of the recommender's answer; raise WireError for an error of it."""
    try:
        members: dict[str, Any] = orjson.loads(reply.body)
    except ValueError:
        members = {}
    if reply.status == 200:
        return members
    code = members.get("__type")
    code = code or ("ServiceUnavailable" if reply.status in {429, 503} else "InternalFailure")
    message = members.get("message") or members.get("detail") or f"The recommender answered {reply.status}."
    raise WireError(code, message, retry_after=1 if reply.status == 503 else None)
