"""The authenticator: from the headers of a request to its principal."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping, MutableMapping
from datetime import UTC, datetime
from functools import lru_cache
from hmac import compare_digest
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import structlog
from fastapi import Request

from shared.auth import loopback, sigv4
from shared.auth.credentials import decrypt, hash_key
from shared.auth.keys import ApiKey, KeyPair, presented_key
from shared.auth.principal import PAIR_SCOPES, SCOPES, AuthError, OriginNotAllowed, Principal, Scope
from shared.auth.rates import RateLimits
from shared.errors import unavailable
from shared.http import ORIGIN_REFUSED, SMALL_BODY_BYTES, declared_bytes
from shared.http.request_bodies import read_body
from shared.lookup_cache import LookupCache
from shared.postgres import Database, statements

if TYPE_CHECKING:
    from shared.settings import AuthSettings

SQL = statements(Path(__file__).with_name("queries.sql"))
log = structlog.get_logger()

MAX_SIGNED_BODY = 8 * 2**20
"""Bytes of a signed body, which is read before its route runs; above the limits of all routes."""

_LOOPBACK = Principal("default", None, frozenset({"ingest", "read"}), "loopback")
_TENANT_HEADER = b"x-endcap-tenant"
_TENANT_ID = re.compile(rb"[a-z0-9][a-z0-9-]{0,79}")  # as shared.events.values.Tenant


class Authenticator:
    """Authenticates callers by the engine's views of keys, which it caches (see `LookupCache`).

    `database` is that of the service, whose role may read these views.
    """

    name = "auth"

    def __init__(self, database: Database, settings: AuthSettings) -> None:
        self._database = database
        self._secret_key = settings.endcap_secret_key
        self._keyless_loopback = settings.endcap_keyless_loopback
        account = settings.endcap_unverified_account
        self._unverified = Principal(None, account, frozenset(PAIR_SCOPES), "sigv4") if account else None
        service_key = settings.endcap_service_key
        # The service key needs no Postgres, so that services reach each other while it is not reachable.
        self._service_key = service_key.get_secret_value().encode() if service_key else None
        self._service_hash = hash_key(service_key.get_secret_value()) if service_key else None
        self._service = Principal(None, None, frozenset(SCOPES), "service")
        self._rates = RateLimits(settings)
        self._keys = LookupCache(self._api_key, look_up_seconds=settings.endcap_key_lookup_seconds)
        self._pairs = LookupCache(self._key_pair, look_up_seconds=settings.endcap_key_lookup_seconds)

    async def start(self) -> None:
        """Log a warning if signatures are not verified."""
        if self._unverified is not None:
            log.warning("auth.signatures_are_not_verified", account=self._unverified.account)

    async def stop(self) -> None:
        """Do nothing: there is nothing to stop."""

    def alive(self) -> str | None:
        """Return None: an authenticator never needs a restart."""
        return None

    def ready(self) -> str | None:
        """Return None: a key that can't be looked up is a 503 of its own request."""
        return None

    def known(self, scope: Mapping[str, Any]) -> Principal | None:
        """Return the caller of a raw ASGI scope if that needs no waiting, else None: then call `of_scope`.

        Costs 2 µs for an API key that was looked up within the last minute.
        """
        headers = dict(scope["headers"])
        if presented_key(headers) is not None:
            return self.known_key(headers)
        if not self._keyless_loopback or b"authorization" in headers:
            return None
        client_host = (scope.get("client") or (None,))[0]
        refused = loopback.refusal(scope["headers"], client_host, scope.get("http_version", "1.1"))
        return _LOOPBACK if refused is None else None

    def known_key(self, headers: Mapping[bytes, bytes]) -> Principal | None:
        """Return the caller by the API key in the headers if that needs no waiting, else None."""
        key = presented_key(headers)
        if key is None:
            return None
        if self._service_key is not None and compare_digest(key, self._service_key):
            return _with_tenant(self._service, headers)
        api_key = self._keys.fresh(hash_key(key))
        if api_key is None or api_key.has_expired() or not api_key.accepts(headers):
            return None
        return _with_tenant(api_key.principal, headers)

    async def of_scope(self, scope: MutableMapping[str, Any], body: bytes = b"") -> Principal:
        """Return the caller of a raw ASGI scope; `body` is needed if the request may be signed.

        Raises as `authenticate` does, and sets `ORIGIN_REFUSED` in the scope if the key does not accept the
        origin of the request.
        """
        client = scope.get("client")
        try:
            return self.known(scope) or await self.authenticate(
                scope["headers"],
                method=scope["method"],
                path=scope.get("raw_path") or scope["path"],
                query=scope["query_string"],
                body=body,
                client_host=client[0] if client else None,
                http_version=scope.get("http_version", "1.1"),
                services=scope.get(sigv4.SIGNED_FOR, sigv4.PERSONALIZE),
            )
        except OriginNotAllowed:
            scope[ORIGIN_REFUSED] = True
            raise

    async def authenticate(
        self,
        request_headers: Iterable[tuple[bytes, bytes]],
        *,
        method: str,
        path: str | bytes,
        query: str | bytes,
        body: bytes,
        client_host: str | None,
        http_version: str = "1.1",
        services: Collection[str] = sigv4.PERSONALIZE,
    ) -> Principal:
        """Return the caller of a request as sent: raw headers, `path` and `query` percent-encoded.

        Raises AuthError 401 for missing or wrong credentials and 403 for an origin that the key does not
        accept; ApiError 503 for a key that is not cached while Postgres is not reachable.
        """
        raw = list(request_headers)
        headers = dict(raw)
        key = presented_key(headers)
        if key is not None:
            return _with_tenant(await self._by_key(key, headers), headers) or _refuse_tenant()
        authorization = headers.get(b"authorization")
        if authorization is None:
            if not self._keyless_loopback:
                _refuse_missing()
            refused = loopback.refusal(raw, client_host, http_version)
            if refused is not None:
                _refuse_missing(f" Without credentials it is refused because {refused}.")
            return _LOOPBACK
        if not authorization.startswith(b"AWS4-"):
            _refuse_missing()
        claimed = sigv4.claim(authorization.decode("latin-1"))
        if self._unverified is not None:
            return self._unverified
        pair = await self.key_pair(claimed.access_key_id)
        sigv4.verify(
            claimed,
            pair.secret,
            method=method,
            path=_text(path),
            query=_text(query),
            headers=raw,
            body=body,
            now=datetime.now(UTC),
            services=services,
        )
        return pair.principal

    async def check_headers(self, scope: MutableMapping[str, Any], required: Scope | None = None) -> None:
        """Check the caller, and that it has the scope `required`, before a large body is read.

        Raises as `authenticate` does. A signature covers the body, so only its time and key id are checked.
        """
        headers = dict(scope["headers"])
        authorization = headers.get(b"authorization", b"")
        if not authorization.startswith(b"AWS4-") or presented_key(headers) is not None:
            principal = await self.of_scope(scope)
        elif self._unverified is not None:
            principal = self._unverified
        else:
            claimed = sigv4.claim(authorization.decode("latin-1"))
            sigv4.check_time(claimed, headers.get(b"x-amz-date", b"").decode("latin-1"), datetime.now(UTC))
            principal = (await self.key_pair(claimed.access_key_id)).principal
        if required is not None:
            principal.may(required)

    def require(self, *scopes: Scope) -> Callable[[Request], Awaitable[Principal]]:
        """Return a dependency: the principal of a request, whose first scope of these counts the call."""

        async def authenticated(request: Request) -> Principal:
            principal = self.known(request.scope)
            if principal is None:
                principal = await self.of_scope(request.scope, await self._signed_body(request))
            return self.admit(principal, principal.first_of(*scopes))

        return authenticated

    def admit(self, principal: Principal, scope: Scope) -> Principal:
        """Count a call and return its principal.

        Raises AuthError 403 without the scope, and ApiError 429 over the rate limit.
        """
        principal.may(scope)
        self._rates.check(principal, scope)
        return principal

    def admits(self, principal: Principal, scope: Scope) -> bool:
        """Count a call; return False where `admit` would raise."""
        return principal.has(scope) and not self._rates.wait_seconds(principal, scope)

    async def _signed_body(self, request: Request) -> bytes:
        """Return the body of a signed request, else an empty one: other bodies are read by their route."""
        if not request.headers.get("authorization", "").startswith("AWS4-"):
            return b""
        if declared_bytes(request.scope) > SMALL_BODY_BYTES:
            await self.check_headers(request.scope)
        # Starlette keeps a body there, so that the route can read it again.
        request._body = await read_body(request, MAX_SIGNED_BODY)  # noqa: SLF001
        return request._body  # noqa: SLF001

    async def key_pair(self, access_key_id: str) -> KeyPair:
        """Return the key pair of an id; raises AuthError 401 if it is unknown."""
        pair = await self._pairs.get(access_key_id)
        if pair is None:
            detail = f"The access key id {access_key_id} is not known here, or not active."
            raise AuthError(401, "UnknownKey", detail, aws_code="UnrecognizedClientException")
        return pair

    async def _by_key(self, key: bytes, headers: Mapping[bytes, bytes]) -> Principal:
        hashed = hash_key(key)
        if hashed == self._service_hash:
            return self._service
        api_key = await self._keys.get(hashed)
        if api_key is None:
            detail = "This API key is not known here. Check it, and the installation it belongs to."
            raise AuthError(401, "UnknownKey", detail, aws_code="UnrecognizedClientException")
        if api_key.has_expired():
            at = datetime.fromtimestamp(api_key.expires_at or 0.0, UTC)
            detail = f"This API key expired at {at:%Y-%m-%d %H:%M} UTC. Ask an administrator for a new one."
            raise AuthError(401, "ExpiredKey", detail, aws_code="ExpiredTokenException")
        if not api_key.accepts(headers):
            raise OriginNotAllowed(headers.get(b"origin"))
        return api_key.principal

    async def _api_key(self, hashed: bytes) -> ApiKey | None:
        row = await self._database.fetchrow(*SQL.api_key(key_hash=hashed))
        return None if row is None else ApiKey.of_row(row, hashed.hex()[:16])

    async def _key_pair(self, access_key_id: str) -> KeyPair | None:
        row = await self._database.fetchrow(*SQL.aws_key(access_key_id=access_key_id))
        if row is None:
            return None
        if self._secret_key is None:
            raise unavailable("ENDCAP_SECRET_KEY, which is needed to verify signatures,")
        secret = decrypt(row["secret_encrypted"], self._secret_key.get_secret_value())
        scopes = frozenset(row["scopes"])
        return KeyPair(Principal(None, row["account"], scopes, "sigv4", access_key_id), secret)


def _with_tenant(principal: Principal, headers: Mapping[bytes, bytes]) -> Principal | None:
    """Return the principal, of a service with the tenant in its header; None if that is not a tenant's id."""
    if principal.kind != "service":
        return principal
    tenant = headers.get(_TENANT_HEADER)
    return principal if tenant is None else _service_of(tenant, principal.scopes)


@lru_cache(maxsize=10_000)
def _service_of(tenant: bytes, scopes: frozenset[str]) -> Principal | None:
    """Return a service that names a tenant; None if that is not a tenant's id."""
    if _TENANT_ID.fullmatch(tenant) is None:
        return None
    return Principal(tenant.decode(), None, scopes, "service")


def _refuse_tenant() -> NoReturn:
    detail = (
        "The header x-endcap-tenant must be a tenant's id: at most 80 lower-case letters, digits and hyphens."
    )
    raise AuthError(400, "InvalidTenant", detail, aws_code="InvalidInputException")


def _refuse_missing(why: str = "") -> NoReturn:
    detail = (
        "No credentials: send an API key as `x-api-key: …` or `Authorization: Bearer …`, or sign the "
        f"request with an AWS key pair.{why}"
    )
    raise AuthError(401, "MissingCredentials", detail, aws_code="MissingAuthenticationTokenException")


def _text(part: str | bytes) -> str:
    return part if isinstance(part, str) else part.decode("latin-1")
