"""`/graphql`: from an HTTP request to the answer of AWS AppSync."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final, NamedTuple
from urllib.parse import parse_qs

import orjson
import structlog

from services.recommender.api.graphql.credentials import permission_of, principal_of
from services.recommender.api.graphql.errors import UNPARSABLE, RequestError, malformed
from services.recommender.api.graphql.execution import invalid_body
from services.recommender.metrics import GRAPHQL_REQUESTS
from shared.errors import ApiError, Transient
from shared.postgres import REFUSED, UNAVAILABLE

if TYPE_CHECKING:
    from starlette.types import Scope

    from services.recommender.api.graphql.documents import Documents, Operation
    from services.recommender.api.graphql.execution import Executor
    from shared.auth import Authenticator, Principal

PATH: Final = "/graphql"
MAX_BODY_BYTES: Final = 64 * 1024
"""Eight times the longest query, for its variables; arbitrary."""

_JSON: Final = [(b"content-type", b"application/json")]
_DONE: Final = {kind: GRAPHQL_REQUESTS.labels(kind, "answered") for kind in ("query", "mutation")}
_INVALID: Final = GRAPHQL_REQUESTS.labels("none", "invalid")
_REFUSED: Final = GRAPHQL_REQUESTS.labels("none", "refused")

log = structlog.get_logger()


class Answer(NamedTuple):
    """An answer; the content-length is not among its headers."""

    status: int
    headers: list[tuple[bytes, bytes]]
    body: bytes


class GraphqlRequest(NamedTuple):
    """The members of a request."""

    query: str
    variables: Mapping[str, Any]
    operation_name: str | None


class GraphqlEndpoint:
    """Authenticates, parses and runs a request."""

    def __init__(self, documents: Documents, executor: Executor, authenticator: Authenticator) -> None:
        self._documents = documents
        self._executor = executor
        self._authenticator = authenticator

    async def answer(self, scope: Scope, body: bytes) -> Answer:
        """Return the answer of a POST with a body, or of a GET."""
        try:
            principal = await principal_of(self._authenticator, scope, body)
            return await self._answer(scope, body, principal)
        except RequestError as error:
            _REFUSED.inc()
            return Answer(error.status, error.headers, error.body)

    async def _answer(self, scope: Scope, body: bytes, principal: Principal) -> Answer:
        is_get = scope["method"] == "GET"
        request = of_query_string(scope["query_string"]) if is_get else of_body(body)
        document = self._documents.get(request.query)
        if document.errors:
            _INVALID.inc()
            return Answer(200, _JSON, invalid_body(document.errors))
        operation = document.operation(request.operation_name)
        if operation.kind == "subscription":
            raise malformed("Subscriptions run over a WebSocket at /graphql/realtime; see docs/graphql.md.")
        if is_get and operation.kind != "query":
            raise RequestError(405, "MethodNotAllowedException", "Send a mutation with POST.")
        answer_body = await self._run(operation, request.variables, principal)
        _DONE[operation.kind].inc()
        return Answer(200, _JSON, answer_body)

    async def _run(self, operation: Operation, variables: Mapping[str, Any], principal: Principal) -> bytes:
        """Return the body of the answer; raise RequestError for an error that the client may retry."""
        try:
            permission = permission_of(self._authenticator, principal, operation.kind)
            return await self._executor.run(operation, variables, principal.own_tenant, permission)
        except ApiError as error:
            raise of_api_error(error) from None
        except REFUSED as error:
            log.warning("graphql.value_refused", error=repr(error))
            raise malformed("Postgres can't store one of the values.") from None
        except (Transient, *UNAVAILABLE) as error:
            log.warning("graphql.dependency_unavailable", error=repr(error))
            message = "A dependency is not reachable; send the same request again."
            raise RequestError(503, "ServiceUnavailableException", message, retry_after=1) from None


def of_api_error(error: ApiError) -> RequestError:
    """Return an error of Endcap in AppSync's format."""
    names = {413: "RequestEntityTooLargeException", 429: "TooManyRequestsException"}
    default = "ServiceUnavailableException" if error.status == 503 else "AccessDeniedException"
    return RequestError(error.status, names.get(error.status, default), error.detail, error.retry_after)


def of_body(body: bytes) -> GraphqlRequest:
    """Return the request of a JSON body; raise RequestError (400)."""
    if not body:
        raise malformed("Request body is empty.")
    try:
        document = orjson.loads(body)
    except ValueError:
        raise malformed(UNPARSABLE) from None
    if not isinstance(document, dict):
        raise malformed(UNPARSABLE)
    return checked_request(document)


def of_query_string(query_string: bytes) -> GraphqlRequest:
    """Return the request of the parameters query, variables (JSON) and operationName; RequestError (400)."""
    try:
        values = parse_qs(query_string.decode("ascii"), errors="strict", max_num_fields=20)
        document: dict[str, Any] = {name: several[0] for name, several in values.items()}
        if "variables" in document:
            document["variables"] = orjson.loads(document["variables"])
    except ValueError:
        raise malformed(UNPARSABLE) from None
    return checked_request(document)


def checked_request(document: Mapping[str, Any]) -> GraphqlRequest:
    """Return the members of a request; raise RequestError (400) if one has another type."""
    query, name = document.get("query"), document.get("operationName")
    variables = document.get("variables")
    if not isinstance(query, str):
        raise malformed(UNPARSABLE)
    if variables is not None and not isinstance(variables, dict):
        raise malformed("variables must be a JSON object.")
    if name is not None and not isinstance(name, str):
        raise malformed("operationName must be a string.")
    return GraphqlRequest(query, variables or {}, name or None)
