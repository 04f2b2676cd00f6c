"""The router returns the recommender's report of unknown parameters."""

from __future__ import annotations

from typing import Any, cast

import httpx
import pytest
from pydantic import SecretStr

from services.router.api.proxy import ProxyRoutes, RestFastPath
from services.router.store.upstream import Reply, _forwarded
from shared.auth import Authenticator
from shared.experiments import BACKEND, PREFIX
from shared.http import UNKNOWN_PARAMETERS
from shared.http.runtime import application
from shared.settings import AuthSettings, HttpSettings

HEADERS = {"x-api-key": "between-services", "x-endcap-tenant": "shop"}


class Recommender:
    """A stub that knows the parameter `limit` alone."""

    async def call(self, _tenant: str, _method: str, target: str) -> Reply:
        query = target.partition("?")[2]
        headers = {"content-type": "application/json", "date": "today"}
        if query and not query.startswith("limit="):
            headers[UNKNOWN_PARAMETERS] = query.partition("=")[0]
        return Reply(200, _forwarded(headers), b"{}")


@pytest.mark.parametrize("fast_path", [True, False])
@pytest.mark.parametrize("path", [f"{PREFIX}/recommendations/u1", BACKEND, f"{BACKEND}/i1"])
@pytest.mark.parametrize(("query", "names"), [("", None), ("?limit=5", None), ("?limti=5", "limti")])
async def test_unknown_parameters_are_those_of_the_recommender(
    path: str, query: str, names: str | None, *, fast_path: bool
) -> None:
    settings = AuthSettings(endcap_service_key=SecretStr("between-services"))
    authenticator = Authenticator(cast("Any", None), settings)
    upstream = cast("Any", Recommender())
    app = application(
        "router",
        parts=[],
        routers=[ProxyRoutes(upstream, authenticator).router()],
        http=HttpSettings(http_report_unknown_parameters=True),
    )
    front = RestFastPath(app, upstream, authenticator) if fast_path else app
    transport = httpx.ASGITransport(front)
    async with httpx.AsyncClient(transport=transport, base_url="http://test", headers=HEADERS) as http:
        answer = await http.get(f"{path}{query}")

    assert answer.status_code == 200
    assert answer.headers.get_list(UNKNOWN_PARAMETERS) == ([] if names is None else [names])
    assert "date" not in answer.headers
