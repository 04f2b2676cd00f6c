"""Authentication of every kind of credential, also while Postgres is not reachable."""

import asyncio
import base64
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from shared.auth import AuthError, Principal, hash_key
from shared.errors import ApiError
from tests.support.signing import BODY, signed
from tests.unit.shared.authenticators import KEY, SERVICE_KEY, Rows, authenticator, scope


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


async def test_an_unknown_key_is_refused_and_cached(rows: Rows) -> None:
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


async def test_a_key_ends_when_it_expires_even_if_it_is_cached(rows: Rows) -> None:
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


async def test_a_key_pair_has_the_scopes_that_it_was_made_for(rows: Rows) -> None:
    rows.aws["ENDCEXAMPLE"]["scopes"] = ["ingest", "catalogue"]
    _, _, headers = signed()

    found = await authenticator(rows).of_scope({**scope(), "headers": headers}, BODY)

    assert found.scopes == {"ingest", "catalogue"}
    with pytest.raises(AuthError) as refused:
        found.may("admin")
    assert (refused.value.status, refused.value.aws_code) == (403, "AccessDeniedException")
