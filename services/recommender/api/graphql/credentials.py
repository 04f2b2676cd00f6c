"""The caller of a GraphQL request, with the refusals of AWS AppSync."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from services.recommender.api.graphql.errors import UNAUTHORIZED, FieldError, RequestError
from shared.auth import AuthError
from shared.errors import ApiError

if TYPE_CHECKING:
    from starlette.types import Scope

    from services.recommender.api.graphql.execution import Permission
    from shared.auth import Authenticator, Principal
    from shared.auth import Scope as AuthScope

_SCOPES: Final[dict[str, AuthScope]] = {
    "query": "recommend",
    "subscription": "recommend",
    "mutation": "catalogue",
}
_MESSAGES: Final = {
    "MissingCredentials": "Valid authorization header not provided.",
    "UnknownKey": "You are not authorized to make this call.",
}
"""The messages of AppSync, by the code of the AuthError; for other codes its own sentence says more."""


async def principal_of(authenticator: Authenticator, scope: Scope, body: bytes) -> Principal:
    """Return the caller; raise RequestError 401 or 403 unless it may query or mutate, and 503."""
    principal = authenticator.known(scope)
    try:
        if principal is None:
            principal = await authenticator.of_scope(scope, body)
        if principal.tenant is None:
            principal.own_tenant  # noqa: B018 - raises AuthError
    except AuthError as error:
        raise _refused(error) from None
    except ApiError as error:
        message = error.detail
        raise RequestError(error.status, "ServiceUnavailableException", message, error.retry_after) from None
    if not principal.has("catalogue"):
        try:
            principal.may("recommend")
        except AuthError as error:
            raise _refused(error) from None
    return principal


def permission_of(authenticator: Authenticator, principal: Principal, kind: str) -> Permission:
    """Count a call, and return the permission for the root fields of an operation; ApiError 429."""
    scope = _SCOPES[kind]
    if principal.has(scope):
        authenticator.admit(principal, scope)
        return _allow
    type_name = kind.capitalize()

    def refuse(name: str) -> FieldError:
        message = f"Not Authorized to access {name} on type {type_name}: the key needs the scope {scope}."
        return FieldError("Unauthorized", message)

    return refuse


def _allow(_: str) -> None:
    return None


def _refused(error: AuthError) -> RequestError:
    is_unauthorized = error.status == 401 or error.code == "MissingScope"
    error_type = UNAUTHORIZED if is_unauthorized else "AccessDeniedException"
    return RequestError(error.status, error_type, _MESSAGES.get(error.code, error.detail))
