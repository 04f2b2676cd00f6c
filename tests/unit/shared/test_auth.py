"""Authentication of every kind of credential, also while Postgres is not reachable."""

import asyncio
import base64
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from pydantic import SecretStr

from shared.auth import (
    Authenticator,
    AuthError,
    Principal,
    decrypt,
    encrypt,
    hash_key,
    new_access_key,
    new_api_key,
    new_secret_key,
    normalized_origin,
)
from shared.errors import ApiError, Permanent
from shared.settings import AuthSettings
from tests.support.signing import BODY, SECRET, signed

SECRET_KEY = new_secret_key()
KEY = new_api_key("read")
SERVICE_KEY = new_api_key("service")


class Rows:
    """Stands for the two views of keys."""

    def __init__(self) -> None:
        self.away = False
        self.asked = 0
        self.api = {
            hash_key(KEY): {
                "tenant": "shop",
                "scopes": ["read"],
                "kind": "read",
                "expires_at": None,
                "allowed_origins": None,
                "requires_origin": False,
            }
        }
        self.aws = {
            "ENDCEXAMPLE": {
                "account": "000000000000",
                "secret_encrypted": encrypt(SECRET, SECRET_KEY),
                "scopes": ["ingest", "read", "catalogue", "admin"],
            }
        }

    async def fetchrow(self, text: str, *arguments: Any) -> dict[str, Any] | None:
        self.asked += 1
        if self.away:
            raise ConnectionRefusedError
        table: dict[Any, Any] = self.aws if "aws_keys_v1" in text else self.api
        return table.get(arguments[0])


def authenticator(rows: Rows, *, keyless: bool = False, unverified: str | None = None) -> Authenticator:
    settings = AuthSettings(
        endcap_secret_key=SecretStr(SECRET_KEY),
        endcap_service_key=SecretStr(SERVICE_KEY),
        endcap_keyless_loopback=keyless,
        endcap_unverified_account=unverified,
    )
    return Authenticator(rows, settings)  # only fetchrow is used


def scope(host: str | None = "10.1.2.3", /, **headers: str) -> dict[str, Any]:
    return {
        "type": "http",
        "method": "POST",
        "path": "/events",
        "raw_path": b"/events",
        "query_string": b"",
        "client": (host, 1) if host else None,
        "headers": [
            (name.replace("_", "-").encode(), value.encode())
            for name, value in {"host": "localhost:8001", **headers}.items()
        ],
    }


@pytest.fixture
def rows() -> Rows:
    return Rows()


@pytest.mark.parametrize(
    "headers",
    [
        {"x_api_key": KEY},
        {"authorization": f"Bearer {KEY}"},
        {"authorization": f"bearer {KEY}"},
        {"authorization": "Basic " + base64.b64encode(f"{KEY}:".encode()).decode()},
        {"authorization": "Basic " + base64.b64encode(KEY.encode()).decode()},
    ],
)
async def test_a_key_is_found_wherever_it_is_sent(rows: Rows, headers: dict[str, str]) -> None:
    found = await authenticator(rows).of_scope(scope(**headers))

    assert found == Principal("shop", None, frozenset({"read"}), "key")


async def test_a_known_key_needs_no_second_look(rows: Rows) -> None:
    callers = authenticator(rows)
    assert callers.known(scope(x_api_key=KEY)) is None

    await callers.of_scope(scope(x_api_key=KEY))

    assert callers.known(scope(x_api_key=KEY)) is not None
    assert rows.asked == 1


async def test_an_unknown_key_is_refused_and_remembered(rows: Rows) -> None:
    callers = authenticator(rows)
    for _ in range(3):
        with pytest.raises(AuthError) as refused:
            await callers.of_scope(scope(x_api_key="ek_read_nobody"))
        assert (refused.value.status, refused.value.aws_code) == (401, "UnrecognizedClientException")

    assert rows.asked == 1


async def test_a_seen_key_serves_while_postgres_is_away_and_an_unseen_one_is_503(
    rows: Rows, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 100.0
    callers = authenticator(rows)
    monkeypatch.setattr(callers._keys, "_clock", lambda: now)
    await callers.of_scope(scope(x_api_key=KEY))
    rows.away = True
    now += 61

    assert callers.known(scope(x_api_key=KEY)) is None
    assert (await callers.of_scope(scope(x_api_key=KEY))).tenant == "shop"
    assert callers.known(scope(x_api_key=KEY)) is not None  # asked again only in five seconds
    with pytest.raises(ApiError) as refused:
        await callers.of_scope(scope(x_api_key="ek_read_never_seen"))
    assert refused.value.status == 503


async def test_a_withdrawn_key_is_refused_a_minute_later(rows: Rows, monkeypatch: pytest.MonkeyPatch) -> None:
    now = 100.0
    callers = authenticator(rows)
    monkeypatch.setattr(callers._keys, "_clock", lambda: now)
    await callers.of_scope(scope(x_api_key=KEY))
    rows.api.clear()
    now += 61

    with pytest.raises(AuthError):
        await callers.of_scope(scope(x_api_key=KEY))


async def test_a_key_ends_when_it_expires_even_if_it_is_remembered(rows: Rows) -> None:
    rows.api[hash_key(KEY)]["expires_at"] = datetime.now(UTC) + timedelta(seconds=0.05)
    callers = authenticator(rows)
    await callers.of_scope(scope(x_api_key=KEY))
    await asyncio.sleep(0.06)

    assert callers.known(scope(x_api_key=KEY)) is None
    with pytest.raises(AuthError, match="expired") as refused:
        await callers.of_scope(scope(x_api_key=KEY))
    assert refused.value.aws_code == "ExpiredTokenException"


async def test_only_a_service_names_the_tenant(rows: Rows) -> None:
    callers = authenticator(rows)

    theirs = await callers.of_scope(scope(x_api_key=KEY, x_endcap_tenant="other"))
    service = await callers.of_scope(scope(x_api_key=SERVICE_KEY, x_endcap_tenant="other"))

    assert theirs.tenant == "shop"
    assert (service.tenant, service.kind) == ("other", "service")
    assert callers.known(scope(x_api_key=SERVICE_KEY, x_endcap_tenant="b")).own_tenant == "b"


@pytest.mark.parametrize("tenant", ["", "Shop", "a/b", "..", "t" * 81, "\xff", "a b"])
async def test_a_service_names_a_tenant_as_the_engine_makes_them(rows: Rows, tenant: str) -> None:
    callers, named = authenticator(rows), scope(x_api_key=SERVICE_KEY)
    named["headers"].append((b"x-endcap-tenant", tenant.encode("latin-1")))

    with pytest.raises(AuthError, match="must be a tenant's id") as refused:
        await callers.of_scope(named)

    assert refused.value.status == 400
    assert callers.known(named) is None


async def test_the_service_key_of_the_settings_works_without_postgres(rows: Rows) -> None:
    rows.away = True

    found = await authenticator(rows).of_scope(scope(x_api_key=SERVICE_KEY))

    assert found.may("admin").kind == "service"
    with pytest.raises(AuthError, match="x-endcap-tenant"):
        _ = found.own_tenant


async def test_a_signed_request_belongs_to_its_account(rows: Rows) -> None:
    _, _, headers = signed()
    callers = authenticator(rows)

    found = await callers.of_scope({**scope(), "headers": headers}, BODY)

    assert found == Principal(
        None, "000000000000", frozenset({"ingest", "read", "catalogue", "admin"}), "sigv4"
    )
    with pytest.raises(AuthError, match="account"):
        _ = found.own_tenant
    with pytest.raises(AuthError) as refused:
        await callers.of_scope({**scope(), "headers": headers}, BODY + b" ")
    assert refused.value.aws_code == "InvalidSignatureException"


async def test_an_unknown_access_key_id_has_its_own_code(rows: Rows) -> None:
    rows.aws.clear()
    _, _, headers = signed()

    with pytest.raises(AuthError) as refused:
        await authenticator(rows).of_scope({**scope(), "headers": headers}, BODY)

    assert refused.value.aws_code == "UnrecognizedClientException"


@pytest.mark.parametrize("host", ["127.0.0.1", "127.9.9.9", "::1"])
async def test_a_keyless_caller_from_loopback_may_read_and_ingest_if_that_is_set(
    rows: Rows, host: str
) -> None:
    found = await authenticator(rows, keyless=True).of_scope(scope(host))

    assert found == Principal("default", None, frozenset({"ingest", "read"}), "loopback")
    with pytest.raises(AuthError) as refused:
        found.may("admin")
    assert (refused.value.status, refused.value.aws_code) == (403, "AccessDeniedException")


@pytest.mark.parametrize(
    ("keyless", "host", "headers"),
    [
        (False, "127.0.0.1", {}),
        (True, "10.0.0.1", {}),
        (True, None, {}),
        (True, "127.0.0.1", {"authorization": "Digest x"}),
        (True, "127.0.0.1", {"host": "evil.example"}),
        (True, "127.0.0.1", {"origin": "https://evil.example"}),
        (True, "127.0.0.1", {"via": "1.1 proxy"}),
    ],
)
async def test_every_other_keyless_caller_is_refused(
    rows: Rows, *, keyless: bool, host: str | None, headers: dict[str, str]
) -> None:
    callers = authenticator(rows, keyless=keyless)
    assert callers.known(scope(host, **headers)) is None
    with pytest.raises(AuthError) as refused:
        await callers.of_scope(scope(host, **headers))

    assert (refused.value.status, refused.value.aws_code) == (401, "MissingAuthenticationTokenException")


async def test_a_keyless_caller_learns_why_it_is_refused(rows: Rows) -> None:
    with pytest.raises(AuthError, match="Host header is not localhost"):
        await authenticator(rows, keyless=True).of_scope(scope("127.0.0.1", host="evil.example"))
    old = {**scope("127.0.0.1"), "http_version": "1.0"}
    assert authenticator(rows, keyless=True).known(old) is None
    with pytest.raises(AuthError, match=r"HTTP/1\.0"):
        await authenticator(rows, keyless=True).of_scope(old)


async def test_wrong_credentials_from_loopback_are_not_taken_for_none(rows: Rows) -> None:
    with pytest.raises(AuthError):
        await authenticator(rows, keyless=True).of_scope(scope("127.0.0.1", x_api_key="wrong"))


def test_keys_say_what_they_are_for_and_differ() -> None:
    assert new_api_key("ingest").startswith("ek_ingest_")
    assert new_api_key("ingest") != new_api_key("ingest")
    access_key_id, secret = new_access_key()
    assert (len(access_key_id), len(secret)) == (20, 40)


def test_an_aws_secret_comes_back_with_the_same_secret_key_only() -> None:
    encrypted = encrypt("secret", SECRET_KEY)

    assert b"secret" not in encrypted
    assert decrypt(encrypted, SECRET_KEY) == "secret"
    with pytest.raises(Permanent, match="another ENDCAP_SECRET_KEY"):
        decrypt(encrypted, new_secret_key())
    with pytest.raises(Permanent, match="32 bytes"):
        encrypt("secret", "short")


async def test_signatures_go_unverified_only_where_a_setting_says_so() -> None:
    path, query, headers = signed(secret="of another installation", access_key_id="AKIASOMEBODY")
    request: dict[str, Any] = {"method": "POST", "path": path, "query": query, "body": BODY}

    with pytest.raises(AuthError, match="not known here"):
        await authenticator(Rows()).authenticate(headers, client_host="10.1.2.3", **request)
    lenient = authenticator(Rows(), unverified="000000000000")
    principal = await lenient.authenticate(headers, client_host="10.1.2.3", **request)

    assert (principal.account, principal.tenant, principal.kind) == ("000000000000", None, "sigv4")
    with pytest.raises(AuthError) as refused:
        await lenient.authenticate([], client_host="10.1.2.3", **request)
    assert refused.value.aws_code == "MissingAuthenticationTokenException"


@pytest.mark.parametrize(
    ("written", "origin"),
    [
        ("https://shop.example", "https://shop.example"),
        ("HTTPS://Shop.Example/", "https://shop.example"),
        ("https://shop.example:443", "https://shop.example"),
        ("http://localhost:3000", "http://localhost:3000"),
        ("https://shop.example:8443", "https://shop.example:8443"),
        ("https://müller.example", "https://xn--mller-kva.example"),
        ("http://[::1]:8080", "http://[::1]:8080"),
    ],
)
def test_an_origin_is_kept_as_browsers_send_it(written: str, origin: str) -> None:
    assert normalized_origin(written) == origin


@pytest.mark.parametrize(
    "written",
    [
        *("", "*", "null", "shop.example", "https://", "ftp://shop.example", "https://*.shop.example"),
        *("https://shop.example/path", "https://shop.example?a", "https://user@shop.example"),
        *("https://shop.example:99999", "https://a b", "https://[::1"),
    ],
)
def test_what_is_no_origin_is_refused(written: str) -> None:
    with pytest.raises(ValueError, match="is not an origin"):
        normalized_origin(written)


async def test_a_key_pair_has_the_scopes_that_it_was_made_for(rows: Rows) -> None:
    rows.aws["ENDCEXAMPLE"]["scopes"] = ["ingest", "catalogue"]
    _, _, headers = signed()

    found = await authenticator(rows).of_scope({**scope(), "headers": headers}, BODY)

    assert found.scopes == {"ingest", "catalogue"}
    with pytest.raises(AuthError) as refused:
        found.may("admin")
    assert (refused.value.status, refused.value.aws_code) == (403, "AccessDeniedException")
