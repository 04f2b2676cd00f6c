"""An OpenID Connect provider: the authorization code flow with PKCE (OpenID Connect Core 3.1, RFC 7636)."""

from __future__ import annotations

import base64
import hashlib
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote_plus, urlencode, urlsplit

import httpx
import orjson

from services.dashboard.domain.id_tokens import Claims, Expected, InvalidIdToken, UnknownKey, verified_claims
from shared.errors import Transient
from shared.http.client import HttpClient, TooLong

if TYPE_CHECKING:
    from services.dashboard.settings import OidcSettings

SCOPE: Final = "openid profile email"
KEEP_SECONDS: Final = 3600.0
"""Time that metadata and keys of the provider are kept; arbitrary."""
LEAST_SECONDS_BETWEEN_READS: Final = 30.0
"""A token with an unknown key makes the keys be read again, at most once in this time; arbitrary."""
MAX_BYTES: Final = 1_000_000


class SignInRefused(Exception):
    """The provider did not confirm the person; the text says why."""


@dataclass(frozen=True, slots=True)
class Confirmation:
    """A person whom the provider confirmed, and the ID token that says so."""

    claims: Claims
    id_token: str


@dataclass(slots=True)
class _Document:
    """A document of the provider, and when it was read."""

    content: dict[str, Any]
    read_at: float


class IdentityProvider(HttpClient):
    """The provider. A part: it connects when somebody signs in or out."""

    name = "identity-provider"

    def __init__(self, settings: OidcSettings, seconds: float) -> None:
        """`seconds` is the time limit of a call."""
        super().__init__()
        self._settings = settings
        self._issuer = settings.issuer or ""
        self._seconds = seconds
        self._metadata: _Document | None = None
        self._keys: _Document | None = None

    @property
    def is_configured(self) -> bool:
        """Return whether people can sign in at a provider."""
        return self._settings.issuer is not None

    async def authorization_url(self, state: str, nonce: str, verifier: str, redirect_uri: str) -> str:
        """Return the address at which a person signs in; raise Transient without an answer."""
        digest = hashlib.sha256(verifier.encode()).digest()
        query = {
            "response_type": "code",
            "client_id": self._settings.client_id,
            "redirect_uri": redirect_uri,
            "scope": SCOPE,
            "state": state,
            "nonce": nonce,
            "code_challenge": base64.urlsafe_b64encode(digest).rstrip(b"=").decode(),
            "code_challenge_method": "S256",
        }
        return _with_query(await self._endpoint("authorization_endpoint"), query)

    async def sign_out_url(self, id_token: str, return_to: str) -> str | None:
        """Return the address at which a person signs out, or None if the provider has none.

        See OpenID Connect RP-Initiated Logout 1.0. With an empty `id_token` the provider asks the person.
        Raise Transient without an answer.
        """
        if "end_session_endpoint" not in await self._provider():
            return None
        query = {"client_id": self._settings.client_id}
        if id_token:
            query["id_token_hint"] = id_token
        if self._settings.return_after_sign_out:
            query["post_logout_redirect_uri"] = return_to
        return _with_query(await self._endpoint("end_session_endpoint"), query)

    async def confirm(self, code: str, nonce: str, verifier: str, redirect_uri: str) -> Confirmation:
        """Return the person for whom the provider issued a code.

        Raise SignInRefused if the code or the token is wrong, Transient without an answer.
        """
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": redirect_uri,
            "code_verifier": verifier,
        }
        headers = await self._authenticated(form)
        endpoint = await self._endpoint("token_endpoint")
        answer = await self._request("POST", endpoint, data=form, headers=headers)
        document = _document(answer)
        token = document.get("id_token")
        if not answer.is_success or not isinstance(token, str):
            reason = document.get("error_description") or document.get("error") or answer.status_code
            raise SignInRefused(f"the identity provider refused the code ({str(reason)[:200]})")
        expected = Expected(self._issuer, self._settings.client_id, nonce)
        try:
            return Confirmation(await self._verified(token, expected), token)
        except InvalidIdToken as error:
            raise SignInRefused(f"the token of the identity provider is not valid: {error}") from None

    async def _verified(self, token: str, expected: Expected) -> Claims:
        keys = await self._key_set()
        try:
            return verified_claims(token, keys, expected, datetime.now(UTC))
        except UnknownKey:
            newer = await self._key_set(max_age=LEAST_SECONDS_BETWEEN_READS)
            return verified_claims(token, newer, expected, datetime.now(UTC))

    async def _authenticated(self, form: dict[str, str]) -> dict[str, str]:
        """Add the client's identity to a form, or return the header that has it (RFC 6749, 2.3.1)."""
        client_id, secret = self._settings.client_id, self._settings.client_secret
        if secret is None:
            form["client_id"] = client_id
            return {}
        metadata = await self._provider()
        methods = metadata.get("token_endpoint_auth_methods_supported") or ["client_secret_basic"]
        if "client_secret_basic" not in methods:
            form |= {"client_id": client_id, "client_secret": secret.get_secret_value()}
            return {}
        pair = f"{quote_plus(client_id)}:{quote_plus(secret.get_secret_value())}"
        return {"authorization": f"Basic {base64.b64encode(pair.encode()).decode()}"}

    async def _endpoint(self, name: str) -> str:
        endpoint = (await self._provider()).get(name)
        if not isinstance(endpoint, str) or not _is_safe(endpoint, self._issuer):
            raise Transient(f"the metadata of {self._issuer} have no {name} with the scheme of the issuer")
        return endpoint

    async def _provider(self) -> Mapping[str, Any]:
        """Return the metadata (OpenID Connect Discovery 1.0)."""
        if self._metadata is None or time.monotonic() - self._metadata.read_at > KEEP_SECONDS:
            content = await self._read(f"{self._issuer.rstrip('/')}/.well-known/openid-configuration")
            if content.get("issuer") != self._issuer:
                raise Transient(f"the metadata name {content.get('issuer')!r} instead of {self._issuer!r}")
            self._metadata = _Document(content, time.monotonic())
        return self._metadata.content

    async def _key_set(self, max_age: float = KEEP_SECONDS) -> list[Mapping[str, Any]]:
        if self._keys is None or time.monotonic() - self._keys.read_at > max_age:
            content = await self._read(await self._endpoint("jwks_uri"))
            self._keys = _Document(content, time.monotonic())
        keys = self._keys.content.get("keys")
        return [key for key in keys if isinstance(key, dict)] if isinstance(keys, list) else []

    async def _read(self, url: str) -> dict[str, Any]:
        answer = await self._request("GET", url)
        document = _document(answer)
        if not answer.is_success or not document:
            raise Transient(f"{url} answered {answer.status_code} instead of a document")
        return document

    async def _request(self, method: str, url: str, **options: Any) -> httpx.Response:
        """Return an answer of at most `MAX_BYTES`; raise Transient without one."""
        try:
            return await self.send(method, url, self._seconds, max_bytes=MAX_BYTES, **options)
        except TooLong as error:
            raise Transient(str(error)) from error
        except (httpx.HTTPError, httpx.InvalidURL, TimeoutError) as error:
            raise Transient(f"the identity provider does not answer: {error!r}") from error


def _is_safe(endpoint: str, issuer: str) -> bool:
    """Return whether an endpoint has TLS, or the issuer has none either (a provider on this machine)."""
    scheme = urlsplit(endpoint).scheme
    return scheme == "https" or (scheme == "http" and urlsplit(issuer).scheme == "http")


def _with_query(endpoint: str, query: Mapping[str, str]) -> str:
    return f"{endpoint}{'&' if urlsplit(endpoint).query else '?'}{urlencode(query)}"


def _document(answer: httpx.Response) -> dict[str, Any]:
    try:
        document = orjson.loads(answer.content)
    except orjson.JSONDecodeError:
        return {}
    return document if isinstance(document, dict) else {}
