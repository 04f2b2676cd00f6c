"""The caller, once known, and the refusal of one who isn't."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal, get_args

from shared.errors import ApiError

Scope = Literal["ingest", "read", "catalogue", "admin", "service"]
SCOPES: tuple[Scope, ...] = get_args(Scope)

PAIR_SCOPES: tuple[Scope, ...] = ("ingest", "read", "catalogue", "admin")
"""What an AWS key pair may be made for, and what it is made for by default."""


class AuthError(ApiError):
    """A caller who is not known (401) or may not do this (403).

    `aws_code` is what the same refusal is called on a route that speaks an AWS protocol.
    """

    def __init__(self, status: int, code: str, detail: str, *, aws_code: str) -> None:
        super().__init__(status, code, detail)
        self.aws_code = aws_code


class OriginNotAllowed(AuthError):
    """The key accepts requests from certain origins only, and this request has another or none (403)."""

    def __init__(self, origin: bytes | None) -> None:
        """`origin` is the header of the request."""
        detail = (
            "This API key needs an Origin header: it is for pages of certain sites only."
            if origin is None
            else f"Pages of {origin.decode('latin-1')} may not use this API key. An administrator can make "
            "a key for this origin with `keys create … --origin`."
        )
        super().__init__(403, "OriginNotAllowed", detail, aws_code="AccessDeniedException")


@dataclass(frozen=True, slots=True)
class Principal:
    """Who calls, and what they may do.

    An API key belongs to one tenant. An AWS key pair belongs to an account of tenants, in which an ARN or
    a trackingId of the request selects one, so `tenant` is None. A service names the tenant itself.
    """

    tenant: str | None
    account: str | None
    scopes: frozenset[str]
    kind: Literal["key", "sigv4", "service", "loopback"]
    credential: str = field(default="", compare=False)
    """Names the key among others, for its rate limit; says nothing of its secret."""

    def may(self, scope: Scope) -> Principal:
        """Return the same principal; 403 without the scope."""
        if scope in self.scopes:
            return self
        detail = (
            f"These credentials have the scopes {', '.join(sorted(self.scopes)) or 'none'}; "
            f"this call needs {scope}. Use a key that has it."
        )
        raise AuthError(403, "MissingScope", detail, aws_code="AccessDeniedException")

    @property
    def own_tenant(self) -> str:
        """The tenant of a call that names none itself; 403 where the credentials don't say."""
        if self.tenant is not None:
            return self.tenant
        detail = (
            "A service names the tenant in the header x-endcap-tenant."
            if self.kind == "service"
            else "An AWS key pair belongs to an account, not to one tenant: use an API key here."
        )
        raise AuthError(403, "NoTenant", detail, aws_code="AccessDeniedException")
