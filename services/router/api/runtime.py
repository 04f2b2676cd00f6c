"""The runtime API of Amazon Personalize: a campaign's ARN may be that of an experiment."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

import orjson

from services.router.domain.surfaces import Asked, campaign_surface
from shared.aws import Arn, WireError, WireModel, not_found
from shared.aws.personalize.runtime import GetPersonalizedRankingRequest, GetRecommendationsRequest
from shared.aws_server import Call, Operation, RestJson
from shared.aws_server.operations import declined

if TYPE_CHECKING:
    from services.router.api.routing import Routing
    from services.router.domain.experiments import Variant
    from services.router.store.accounts import Accounts
    from services.router.store.running import Running
    from services.router.store.upstream import Reply, Upstream
    from shared.auth import Authenticator, Principal

RuntimeRequest = GetRecommendationsRequest | GetPersonalizedRankingRequest


class Runtime:
    """GetRecommendations and GetPersonalizedRanking; the caller's signature ends here."""

    def __init__(
        self,
        routing: Routing,
        upstream: Upstream,
        running: Running,
        accounts: Accounts,
        authenticator: Authenticator,
    ) -> None:
        self._routing = routing
        self._upstream = upstream
        self._running = running
        self._accounts = accounts
        self.routes = RestJson(
            authenticator,
            {
                "/recommendations": Operation(
                    "GetRecommendations",
                    GetRecommendationsRequest,
                    "read",
                    self._passing("/recommendations"),
                ),
                "/personalize-ranking": Operation(
                    "GetPersonalizedRanking",
                    GetPersonalizedRankingRequest,
                    "read",
                    self._passing("/personalize-ranking"),
                ),
                "/action-recommendations": declined("GetActionRecommendations", WireModel),
            },
        )

    def _passing(self, path: str) -> Callable[[Call, RuntimeRequest], Awaitable[dict[str, Any]]]:
        async def handle(call: Call, request: RuntimeRequest) -> dict[str, Any]:
            return await self._pass(path, call, request)

        return handle

    async def _pass(self, path: str, call: Call, request: RuntimeRequest) -> dict[str, Any]:
        name, what = _asked(request)
        tenant = await self._tenant(call.principal, name)
        sent = request.model_dump(by_alias=True, exclude_none=True)

        async def ask(variant: Variant | None) -> Reply:
            strategy = variant.strategy if variant else None
            body = {**sent, "campaignArn": _arn(strategy)} if strategy else sent
            return await self._upstream.ask(
                tenant, "POST", path, orjson.dumps(body), {"content-type": "application/json"}
            )

        reply = await self._routing.answered(tenant, what, ask)
        call.answer_headers.extend(header for header in reply.headers if header[0].startswith(b"x-"))
        return _said(reply)

    async def _tenant(self, principal: Principal, campaign: str) -> str:
        """The tenant of the credentials; for a key pair that of the experiment or campaign of this name."""
        if principal.account is None:
            return principal.own_tenant
        tenants = await self._accounts.tenants(principal.account)
        surface = campaign_surface(campaign)
        found = next((tenant for tenant in tenants if self._running.on(tenant, surface)), None)
        found = found or await self._accounts.tenant_of_campaign(principal.account, campaign)
        if found is None:
            kind, _, name = campaign.rpartition("/")
            raise not_found(f"There is no {kind or 'campaign'} {name!r} here. Create it, or check the ARN.")
        return found


def _asked(request: RuntimeRequest) -> tuple[str, Asked | None]:
    """What the engine calls the campaign or recommender, and the surface; recommenders have none."""
    if isinstance(request, GetRecommendationsRequest) and request.recommender_arn is not None:
        return f"recommender/{Arn.parse(request.recommender_arn, 'recommender').name}", None
    name = Arn.parse(request.campaign_arn or "", "campaign").name
    return name, Asked(campaign_surface(name), request.user_id) if request.user_id else None


def _arn(strategy: str) -> str:
    """A campaign's ARN as it is; a recipe by the ARN under which the recommender serves its lists."""
    return strategy if strategy.startswith("arn:") else f"arn:aws:personalize:::recipe/{strategy}"


def _said(reply: Reply) -> dict[str, Any]:
    """The recommender's answer; its error as our own."""
    try:
        said: dict[str, Any] = orjson.loads(reply.body)
    except ValueError:
        said = {}
    if reply.status == 200:
        return said
    code = said.get("__type") or ("ServiceUnavailable" if reply.status in {429, 503} else "InternalFailure")
    message = said.get("message") or said.get("detail") or f"The recommender answered {reply.status}."
    raise WireError(code, message, retry_after=1 if reply.status == 503 else None)
