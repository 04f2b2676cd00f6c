"""Calls of the control plane without HTTP: the operations of the table over a database."""

from __future__ import annotations

from typing import Any

from services.engine.personalize.dispatcher import OperationDispatcher
from services.engine.personalize.operations import TABLE
from shared.auth import Principal
from shared.aws_server import Call

ACCOUNT = "000000000000"
RECIPE = "arn:aws:personalize:::recipe/aws-similar-items"


STORE_KEY_ID = "ENDCSTORE"
"""The access key id of the account's key pair for the object store."""


def caller(account: str = ACCOUNT, invocation: str | None = None, credential: str = STORE_KEY_ID) -> Call:
    """Return a call with a key pair of the account, by default the pair that opens the object store too."""
    principal = Principal(None, account, frozenset({"admin"}), "sigv4", credential)
    return Call(principal, "request", invocation, "eu-west-1")


async def perform(
    dispatcher: OperationDispatcher, operation: str, call: Call | None = None, **body: Any
) -> Any:
    """Return the response of an operation; raise WireError if it is refused."""
    handlers = {handled.name: handled.handle for handled in dispatcher.operations()}
    request = TABLE[operation].request.model_validate(body)
    return await handlers[operation](call or caller(), request)
