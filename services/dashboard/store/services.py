"""The other services, by their public APIs."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import httpx
import orjson

from services.dashboard.metrics import CALL_SECONDS, CALLS
from shared.http.client import HttpClient

if TYPE_CHECKING:
    from services.dashboard.settings import Settings

ABSENT = 0
"""The status of a reply of a service that did not answer."""


@dataclass(frozen=True, slots=True)
class Reply:
    """The answer of a service, or the reason why there is none.

    `body` is the JSON document, or the text of another answer. `problem` is a sentence for people, None after
    a success.
    """

    service: str
    status: int
    body: Any = None
    problem: str | None = None
    headers: Mapping[str, str] = field(default_factory=dict)

    @property
    def ok(self) -> bool:
        """Return whether the service answered with a success."""
        return self.problem is None

    @property
    def is_absent(self) -> bool:
        """Return whether the service did not answer."""
        return self.status == ABSENT

    def get(self, name: str, default: Any = None) -> Any:
        """Return a member of the document; `default` without a document."""
        return self.body.get(name, default) if self.ok and isinstance(self.body, dict) else default

    @property
    def rows(self) -> list[Any]:
        """Return the document if it is a list, else an empty list."""
        return self.body if self.ok and isinstance(self.body, list) else []


class Services(HttpClient):
    """Calls of public APIs for a tenant. A call never raises: its reply says what went wrong."""

    name = "services"

    def __init__(self, settings: Settings, transport: httpx.AsyncBaseTransport | None = None) -> None:
        """`transport` replaces the network in tests."""
        super().__init__(transport)
        self._addresses = settings.services
        self._seconds = settings.call_seconds
        key = settings.auth.endcap_service_key
        self._key = key.get_secret_value() if key else ""

    async def get(self, tenant: str, service: str, path: str, **parameters: Any) -> Reply:
        """Return the reply to a GET; parameters that are None are left out."""
        query = {name: value for name, value in parameters.items() if value is not None}
        return await self.call(tenant, "GET", service, path, params=query)

    async def call(
        self,
        tenant: str,
        method: str,
        service: str,
        path: str,
        *,
        headers: Mapping[str, str] | None = None,
        seconds: float | None = None,
        **options: Any,
    ) -> Reply:
        """Return the reply to a request for a tenant; `options` are those of httpx.

        `seconds` is a time limit for a request that takes longer than others.
        """
        own = {"x-api-key": self._key, "x-endcap-tenant": tenant, **(headers or {})}
        url = self._addresses.of(service) + path
        return await self.fetch(service, method, url, seconds, headers=own, **options)

    async def control(self, tenant: str, operation: str, **members: Any) -> Reply:
        """Return the reply to an operation of Amazon Personalize's control plane."""
        headers = {
            "x-amz-target": f"AmazonPersonalize.{operation}",
            "content-type": "application/x-amz-json-1.1",
        }
        return await self.call(tenant, "POST", "engine", "/", headers=headers, content=orjson.dumps(members))

    async def fetch(
        self, service: str, method: str, url: str, seconds: float | None = None, **options: Any
    ) -> Reply:
        """Return the reply to a request without credentials; raises RuntimeError before `start`."""
        began = time.perf_counter()
        try:
            response = await self.send(method, url, seconds or self._seconds, **options)
        except (httpx.HTTPError, httpx.InvalidURL, TimeoutError) as error:
            CALLS.labels(service, "absent").inc()
            return Reply(service, ABSENT, problem=f"{service} does not answer ({_reason(error)}).")
        CALL_SECONDS.labels(service).observe(time.perf_counter() - began)
        reply = _reply(service, response)
        CALLS.labels(service, "ok" if reply.ok else "refused").inc()
        return reply


def _reply(service: str, response: httpx.Response) -> Reply:
    body: Any = response.text
    problem: str | None = None
    if "json" in response.headers.get("content-type", "") and response.content:
        try:
            body = orjson.loads(response.content)
        except orjson.JSONDecodeError:
            problem = f"{service} answered with a document that is not JSON."
            return Reply(service, response.status_code, body, problem, response.headers)
    problem = None if response.is_success else _problem(service, response.status_code, body)
    return Reply(service, response.status_code, body, problem, response.headers)


def _problem(service: str, status: int, body: Any) -> str:
    """Return the sentence of an error answer, of Endcap's or of an AWS operation."""
    if isinstance(body, dict):
        detail = body.get("detail") or body.get("message") or body.get("Message")
        if detail:
            return str(detail)
    return f"{service} answered with the status {status}."


def _reason(error: Exception) -> str:
    match error:
        case TimeoutError() | httpx.TimeoutException():
            return "time-out"
        case httpx.ConnectError():
            return "no connection"
        case _:
            return type(error).__name__
