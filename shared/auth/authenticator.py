"""From the headers of a request to its principal."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Iterable, Mapping, MutableMapping
from datetime import UTC, datetime
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

_LOOPBACK = Principal("default", None, frozenset({"ingest", "read"}), "loopback")
_TENANT_HEADER = b"x-endcap-tenant"
_TENANT_ID = re.compile(rb"[a-z0-9][a-z0-9-]{0,79}")  # as shared.events.values.Tenant has it


class Authenticator:
    """Knows callers by what Postgres says of their keys, and remembers it (see `LookupCache`).

    `database` is that of the service, whose role may read the engine's views of keys.
    """

    name = "auth"

    def __init__(self, database: Database, settings: AuthSettings) -> None:
        self._database = database
        self._secret_key = settings.endcap_secret_key
        self._keyless_loopback = settings.endcap_keyless_loopback
        account = settings.endcap_unverified_account
        self._unverified = Principal(None, account, frozenset(PAIR_SCOPES), "sigv4") if account else None
        service_key = settings.endcap_service_key
        # Known without Postgres, so that services reach each other while it is away.
        self._service_hash = hash_key(service_key.get_secret_value()) if service_key else None
        self._service = Principal(None, None, frozenset(SCOPES), "service")
        self._rates = RateLimits(settings)
        self._keys = LookupCache(self._api_key)
        self._pairs = LookupCache(self._key_pair)

    async def start(self) -> None:
        """Nothing to start: keys are looked up when they come."""
        if self._unverified is not None:
            log.warning("auth.signatures_are_not_verified", account=self._unverified.account)

    async def stop(self) -> None:
        """Nothing to stop."""

    def alive(self) -> str | None:
        """Never stuck."""
        return None

    def ready(self) -> str | None:
        """Ready at once; a key that can't be looked up is a 503 of its own request."""
        return None

    def known(self, scope: Mapping[str, Any]) -> Principal | None:
        """The caller of a raw ASGI scope if that needs no waiting, else None: then ask `of_scope`.

        Costs 2 µs for an API key that was looked up within the last minute.
        """
        headers = dict(scope["headers"])
        key = presented_key(headers)
        if key is None:
            if self._keyless_loopback and b"authorization" not in headers:
                client = scope.get("client")
                client_host = client[0] if client else None
                refused = loopback.refusal(scope["headers"], client_host, scope.get("http_version", "1.1"))
                return _LOOPBACK if refused is None else None
            return None
        hashed = hash_key(key)
        if hashed == self._service_hash:
            return _speaking_for(self._service, headers)
        found = self._keys.fresh(hashed)
        if found is None or found.has_expired() or not found.accepts(headers):
            return None
        return _speaking_for(found.principal, headers)

    async def of_scope(self, scope: MutableMapping[str, Any], body: bytes = b"") -> Principal:
        """The caller of a raw ASGI scope; `body` is needed where the request may be signed.

        Sets `ORIGIN_REFUSED` in the scope of a request whose key does not accept its origin.
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
    ) -> Principal:
        """The caller of a request as it came over the wire: raw headers, `path` and `query` encoded.

        AuthError 401 without or with wrong credentials, 403 from another origin; ApiError 503 for a key that
        was never seen while Postgres is away.
        """
        raw = list(request_headers)
        headers = dict(raw)
        key = presented_key(headers)
        if key is not None:
            return _speaking_for(await self._by_key(key, headers), headers) or _refuse_tenant()
        authorization = headers.get(b"authorization")
        if authorization is None:
            if not self._keyless_loopback:
                _refuse_missing()
            refused = loopback.refusal(raw, client_host, http_version)
            if refused is not None:
                _refuse_missing(f" This request may not go without, as {refused}.")
            return _LOOPBACK
        if not authorization.startswith(b"AWS4-"):
            _refuse_missing()
        claimed = sigv4.claim(authorization.decode("latin-1"))
        if self._unverified is not None:
            return self._unverified
        pair = await self._pair_of(claimed)
        sigv4.verify(
            claimed,
            pair.secret,
            method=method,
            path=_text(path),
            query=_text(query),
            headers=raw,
            body=body,
            now=datetime.now(UTC),
        )
        return pair.principal

    async def check_headers(self, scope: MutableMapping[str, Any], needed: Scope | None = None) -> None:
        """Refuse an unknown caller, or one without the scope `needed`, before a large body is read.

        Raises what `authenticate` does. A signature covers the body: here its time and key id must be right.
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
            principal = (await self._pair_of(claimed)).principal
        if needed is not None:
            principal.may(needed)

    def require(self, scope: Scope) -> Callable[[Request], Awaitable[Principal]]:
        """A FastAPI dependency: the principal of the request, which has `scope`."""

        async def principal(request: Request) -> Principal:
            found = self.known(request.scope)
            if found is None:
                found = await self.of_scope(request.scope, await self._signed_body(request))
            return self.admit(found, scope)

        return principal

    def admit(self, principal: Principal, scope: Scope) -> Principal:
        """Return the same principal and count its call; 403 without the scope, 429 beyond its rate limit."""
        principal.may(scope)
        self._rates.check(principal, scope)
        return principal

    def admits(self, principal: Principal, scope: Scope) -> bool:
        """Count a call and return True, or return False for what `admit` would refuse."""
        return scope in principal.scopes and not self._rates.wait_seconds(principal, scope)

    async def _signed_body(self, request: Request) -> bytes:
        """Return the body where a signature covers it, else nothing: other bodies are read by their route."""
        if not request.headers.get("authorization", "").startswith("AWS4-"):
            return b""
        if declared_bytes(request.scope) > SMALL_BODY_BYTES:
            await self.check_headers(request.scope)
        # Where Starlette keeps a body, so that the route can read it again.
        request._body = await read_body(request, MAX_SIGNED_BODY)  # noqa: SLF001
        return request._body  # noqa: SLF001

    async def _pair_of(self, claimed: sigv4.Claim) -> KeyPair:
        pair = await self._pairs.get(claimed.access_key_id)
        if pair is None:
            detail = f"The access key id {claimed.access_key_id} is not known here, or not active."
            raise AuthError(401, "UnknownKey", detail, aws_code="UnrecognizedClientException")
        return pair

    async def _by_key(self, key: bytes, headers: Mapping[bytes, bytes]) -> Principal:
        hashed = hash_key(key)
        if hashed == self._service_hash:
            return self._service
        found = await self._keys.get(hashed)
        if found is None:
            detail = "This API key is not known here. Check it, and the installation it belongs to."
            raise AuthError(401, "UnknownKey", detail, aws_code="UnrecognizedClientException")
        if found.has_expired():
            detail = "This API key has expired. Ask an administrator for a new one."
            raise AuthError(401, "ExpiredKey", detail, aws_code="ExpiredTokenException")
        if not found.accepts(headers):
            raise OriginNotAllowed(headers.get(b"origin"))
        return found.principal

    async def _api_key(self, hashed: bytes) -> ApiKey | None:
        row = await self._database.fetchrow(*SQL.api_key(key_hash=hashed))
        return None if row is None else ApiKey.of_row(row, hashed.hex()[:16])

    async def _key_pair(self, access_key_id: str) -> KeyPair | None:
        row = await self._database.fetchrow(*SQL.aws_key(access_key_id=access_key_id))
        if row is None:
            return None
        if self._secret_key is None:
            raise unavailable("ENDCAP_SECRET_KEY, which signed requests are checked with,")
        secret = decrypt(row["secret_encrypted"], self._secret_key.get_secret_value())
        scopes = frozenset(row["scopes"])
        return KeyPair(Principal(None, row["account"], scopes, "sigv4", access_key_id), secret)


def _speaking_for(principal: Principal, headers: Mapping[bytes, bytes]) -> Principal | None:
    """A service names the tenant that it speaks for; nobody else's header counts. None for no tenant's id."""
    if principal.kind != "service":
        return principal
    tenant = headers.get(_TENANT_HEADER)
    if tenant is None:
        return principal
    if _TENANT_ID.fullmatch(tenant) is None:
        return None
    return Principal(tenant.decode(), None, principal.scopes, "service")


def _refuse_tenant() -> NoReturn:
    detail = (
        "The header x-endcap-tenant names no tenant: an id has small letters, digits and hyphens, 80 at most."
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
