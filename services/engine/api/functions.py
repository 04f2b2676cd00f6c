"""Lambda: the manager function of manuals can be invoked; there are no other functions.

https://docs.aws.amazon.com/lambda/latest/api/API_Invoke.html
"""

from __future__ import annotations

import uuid
from typing import Annotated, Any, Final

import orjson
from fastapi import APIRouter, Path, Request, Response
from starlette.requests import ClientDisconnect

from services.engine.personalize.manager import Manager
from shared.auth import SIGNED_FOR, Authenticator
from shared.aws import WireError
from shared.aws.protocols import REST_JSON
from shared.aws_server.json_services import CALLS
from shared.aws_server.operations import as_wire_error, call_of, error_answer
from shared.aws_server.routes import ERRORS, response_of
from shared.http import SMALL_BODY_BYTES, declared_bytes
from shared.http.request_bodies import read_body

SUFFIX: Final = "personalize-manager"
"""The end of the function's name, in whatever way a manual names its stage."""

_MAX_PAYLOAD: Final = 2**20
_OUTAGES: Final = frozenset(("InternalFailure", "ServiceUnavailable", "ThrottlingException"))


def router(authenticator: Authenticator, manager: Manager) -> APIRouter:
    """Return the route."""
    routes = APIRouter(tags=["AWS"])

    @routes.post(
        "/2015-03-31/functions/{name}/invocations",
        operation_id="invoke_function",
        summary="Lambda: invoke the manager of Personalize's resources",
        responses=ERRORS,
        openapi_extra={"requestBody": {"content": {"application/json": {"schema": {"type": "object"}}}}},
        response_class=Response,
    )
    async def invoke(request: Request, name: Annotated[str, Path(max_length=170)]) -> Response:
        """Run an action of the function `…-personalize-manager`; docs/from-aws.md lists the actions.

        An action that fails is a 200 with the header X-Amz-Function-Error, as of a function that raised.
        """
        request_id, scope = str(uuid.uuid4()), request.scope
        scope[SIGNED_FOR] = frozenset(("lambda",))
        try:
            if declared_bytes(scope) > SMALL_BODY_BYTES:
                await authenticator.check_headers(scope, "admin")
            body = await read_body(request, _MAX_PAYLOAD)
            principal = await authenticator.of_scope(scope, body)
            authenticator.admit(principal, "admin")
            _check_name(name)
            kind = request.headers.get("x-amz-invocation-type", "RequestResponse")
            if kind == "DryRun":
                return Response(status_code=204)
            answered, has_failed = await _run(manager, call_of(scope, principal, request_id), body)
        except ClientDisconnect:
            raise
        except Exception as error:  # noqa: BLE001 - every error becomes an answer
            return response_of(error_answer(REST_JSON, error, request_id))
        headers = {"x-amzn-requestid": request_id, "x-amz-executed-version": "$LATEST"}
        if kind == "Event":
            return Response(status_code=202, headers=headers)
        if has_failed:
            headers["x-amz-function-error"] = "Unhandled"
        return Response(orjson.dumps(answered), headers=headers, media_type="application/json")

    return routes


async def _run(manager: Manager, call: Any, body: bytes) -> tuple[dict[str, Any], bool]:
    """Return the answer of an action and whether it is an error; raises what a repetition may cure."""
    outcome = "ok"
    try:
        return await manager.run(call, body), False
    except Exception as raised:
        error = as_wire_error(raised)
        outcome = error.code
        if error.code in _OUTAGES or error.code == "InvalidRequestContentException":
            raise
        return {"errorMessage": error.message, "errorType": error.code, "requestId": call.request_id}, True
    finally:
        CALLS.labels("lambda", "Invoke", outcome).inc()


def _check_name(name: str) -> None:
    """Raise WireError ResourceNotFoundException for a function that is not the manager; an ARN will do."""
    own = name.partition(":function:")[2].partition(":")[0] or name.partition(":")[0]
    if not own.endswith(SUFFIX):
        message = f"Function not found: {name[:170]}. The only function here is one that ends with {SUFFIX}."
        raise WireError("ResourceNotFoundException", message)
