"""The authenticated caller, and the error for a caller who is not."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal, get_args

from shared.errors import ApiError

Scope = Literal["ingest", "recommend", "read", "catalogue", "placements", "admin", "service"]
SCOPES: tuple[Scope, ...] = get_args(Scope)

PAIR_SCOPES: tuple[Scope, ...] = ("ingest", "read", "catalogue", "admin")
"""The scopes that an AWS key pair can have, and has by default."""


class AuthError(ApiError):
    """The caller is not authenticated (401) or not authorized (403).

    `aws_code` is the code of the error on a route of an AWS protocol.
    """

    def __init__(self, status: int, code: str, detail: str, *, aws_code: str) -> None:
        super().__init__(status, code, detail)
        self.aws_code = aws_code


class OriginNotAllowed(AuthError):
    """The key accepts certain origins only, and the request has another one or none (403)."""

    def __init__(self, origin: bytes | None) -> None:
        """`origin` is the Origin header of the request."""
        detail = (
            "This API key needs an Origin header: it is for pages of certain sites only."
            if origin is None
            else f"Pages of {origin.decode('latin-1')} may not use this API key. An administrator can make "
            "a key for this origin with `keys create … --origin`."
        )
        super().__init__(403, "OriginNotAllowed", detail, aws_code="AccessDeniedException")


@dataclass(frozen=True, slots=True)
class Principal:
    """The caller and its scopes.

    An API key belongs to one tenant. An AWS key pair belongs to an account of tenants, in which an ARN or
    a trackingId of the request selects one, so `tenant` is None. A service names the tenant itself.
    """

    tenant: str | None
    account: str | None
    scopes: frozenset[str]
    kind: Literal["key", "sigv4", "service", "loopback"]
    credential: str = field(default="", compare=False)
    """Identifies the key for its rate limit, without its secret."""

    def has(self, scope: Scope) -> bool:
        """Return whether the caller has the scope; `read` includes `recommend`."""
        return scope in self.scopes or (scope == "recommend" and "read" in self.scopes)

    def may(self, scope: Scope) -> Principal:
        """Return the principal; raises AuthError 403 if it does not have the scope."""
        self.first_of(scope)
        return self

    def first_of(self, *scopes: Scope) -> Scope:
        """Return the first of the scopes that the principal has; raises AuthError 403 if it has none."""
        for scope in scopes:
            if self.has(scope):
                return scope
        detail = (
            f"These credentials have the scopes {', '.join(sorted(self.scopes)) or 'none'}; "
            f"this call needs {' or '.join(scopes)}. Use a key that has it."
        )
        raise AuthError(403, "MissingScope", detail, aws_code="AccessDeniedException")

    @property
    def own_tenant(self) -> str:
        """Return the tenant of the credentials; raises AuthError 403 if they have none."""
        if self.tenant is not None:
            return self.tenant
        detail = (
            "A service names the tenant in the header x-endcap-tenant."
            if self.kind == "service"
            else "An AWS key pair belongs to an account, not to one tenant: use an API key here."
        )
        raise AuthError(403, "NoTenant", detail, aws_code="AccessDeniedException")
