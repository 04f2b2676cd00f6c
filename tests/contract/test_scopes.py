"""Every route with every kind of credentials is allowed or refused as docs/security.md says."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from typing import Any

import httpx
import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from deploy.gateway.routes import AWS_SERVICES
from deploy.local.ports import SERVICES
from services.engine.commands.scopes import SERVICE_SCOPES
from services.engine.store.keys import TENANT_SCOPES
from shared.auth import PAIR_SCOPES, encrypt, hash_key, new_api_key, new_secret_key
from shared.postgres import Database
from tests.contract.access import Route, application, declared_credentials, declared_scopes, routes

KEYS = {kind: new_api_key("read") for kind in (*TENANT_SCOPES, "service")}
SECRET_KEY = new_secret_key()
PAIR = Credentials("ENDCEXAMPLE", "the secret of a test")
SIGNED_FOR = {each.target.rstrip("."): each.scope for each in AWS_SERVICES if each.target}
REFUSALS = {
    "MissingScope",
    "MissingCredentials",
    "AccessDeniedException",
    "MissingAuthenticationTokenException",
    "UnknownKey",  # a route with the key in its path
}


async def rows(_: Database, text: str, *arguments: Any) -> dict[str, Any] | None:
    """Answer for the views of keys; Postgres is away for everything else."""
    if "aws_keys_v1" in text:
        secret = encrypt(PAIR.secret_key, SECRET_KEY)
        return {"account": "000000000000", "secret_encrypted": secret, "scopes": list(PAIR_SCOPES)}
    if "keys_v1" not in text:
        raise ConnectionRefusedError
    kind = next((kind for kind, key in KEYS.items() if hash_key(key) == arguments[0]), None)
    if kind is None:
        return None
    return {
        "tenant": None if kind == "service" else "default",
        "scopes": list(SERVICE_SCOPES if kind == "service" else TENANT_SCOPES[kind]),  # type: ignore[index]
        "kind": "service" if kind == "service" else "key",
        "expires_at": None,
        "allowed_origins": None,
        "requires_origin": False,
    }


async def away(*_: Any) -> None:
    raise ConnectionRefusedError


@pytest.fixture(scope="module")
def applications() -> Iterator[dict[str, Any]]:
    """Every service's application, without the servers behind it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Database, "fetchrow", rows)
        for method in ("fetch", "fetchval", "execute"):
            patch.setattr(Database, method, away)
        patch.setenv("ENDCAP_SECRET_KEY", SECRET_KEY)
        patch.setenv("ENDCAP_KEYLESS_LOOPBACK", "1")
        patch.setenv("ENDCAP_RECOMMENDER_URL", "http://127.0.0.1:9")  # also where a stack runs
        patch.setenv("ENDCAP_ANALYTICS_URL", "http://127.0.0.1:9")
        yield {service: application(service) for service in SERVICES}


@pytest.fixture(scope="module")
def declared(applications: dict[str, Any]) -> dict[Route, frozenset[str]]:
    """The scopes that the page names for each route."""
    return declared_scopes([route for service, app in applications.items() for route in routes(service, app)])


@pytest.fixture
async def client(applications: dict[str, Any], service: str, kind: str) -> AsyncIterator[httpx.AsyncClient]:
    host = "127.0.0.1" if kind == "loopback" else "10.0.0.1"
    transport = httpx.ASGITransport(applications[service], raise_app_exceptions=False, client=(host, 1))
    async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client:
        yield client


def request(route: Route, kind: str) -> httpx.Request:
    """A request that is wrong in everything but its credentials, so that it ends early."""
    path = route.path.replace("{", "").replace("}", "").replace(":path", "")
    headers = {"content-type": "application/json", "host": "127.0.0.1"}
    if route.operation:
        target = route.operation if "." in route.operation else f"AmazonPersonalize.{route.operation}"
        headers["x-amz-target"] = target
    url = f"http://127.0.0.1{path}"
    body = b"[]" if route.method == "POST" else b""
    if kind in KEYS:
        headers |= {"x-api-key": KEYS[kind], "x-endcap-tenant": "default"}
    elif kind == "aws":
        signed = AWSRequest(route.method, url, headers=headers, data=body)
        target = headers.get("x-amz-target", "").rpartition(".")[0]
        SigV4Auth(PAIR, SIGNED_FOR.get(target, "personalize"), "eu-west-1").add_auth(signed)
        headers = dict(signed.headers.items())
    return httpx.Request(route.method, url, headers=headers, content=body)


async def is_refused(client: httpx.AsyncClient, route: Route, kind: str) -> bool:
    """Whether the credentials do not suffice."""
    answer = await client.send(request(route, kind))
    if answer.status_code not in {400, 401, 403}:
        return False
    if answer.headers["content-type"].startswith("text/html"):  # a page for people, who have sessions
        return False
    document = answer.json()
    if "errors" in document:  # AppSync's format
        return document["errors"][0]["errorType"] == "UnauthorizedException"
    return document.get("error", document.get("__type")) in REFUSALS


def test_the_page_says_what_each_kind_of_credentials_may_do() -> None:
    expected = {kind: frozenset(scopes) for kind, scopes in TENANT_SCOPES.items()}
    expected |= {"service": frozenset(SERVICE_SCOPES), "aws": frozenset(PAIR_SCOPES)}

    declared = declared_credentials()

    assert declared.pop("loopback") == {"ingest", "read"}
    assert declared.pop("nobody") == frozenset()
    assert declared == expected


def test_only_these_change_items_users_and_overrides(declared: dict[Route, frozenset[str]]) -> None:
    changes = {route: scopes for route, scopes in declared.items() if not route.name.startswith("GET")}

    assert {route.name for route, scopes in changes.items() if "catalogue" in scopes} == {
        "POST /items",
        "POST /users",
        "POST /v1/imports",
        "POST /v1/imports/objects",
        "DELETE /v1/items/{item_id:path}",
        "POST /graphql",
        "CreateDatasetImportJob",
    }


@pytest.mark.parametrize("kind", ["storefront", "read"])
@pytest.mark.parametrize(
    ("path", "scope"),
    [
        ("recommendations/u1", "recommend"),
        ("similar-items/by-location", "recommend"),
        ("recommendations/by-location?city=Graz", "read"),
        ("recommendations/by%2Dlocation?city=Graz", "read"),
        ("recommendations/by-segment?segment=champions", "read"),
        ("%73tatus", "read"),
    ],
)
@pytest.mark.parametrize("service", ["recommender", "router"])
async def test_a_key_of_pages_gets_no_customers_and_no_state(
    client: httpx.AsyncClient, kind: str, path: str, scope: str
) -> None:
    answer = await client.get(f"/api/v1/personalize/{path}", headers={"x-api-key": KEYS[kind]})

    assert (answer.status_code == 403) == (kind == "storefront" and scope == "read"), answer.text


@pytest.mark.parametrize(
    ("path", "body", "scope"),
    [
        ("/api/v1/pages", {"placements": ["home"], "user_id": "u1"}, "recommend"),
        ("/api/v1/pages", {"placement": "home", "users": ["u1", "u2"]}, "read"),
        ("/shopify/recommendations", {"cart_items": ["i1"]}, "recommend"),
        ("/shopify/recommendations", {"customer_phone": "+43 1 234"}, "read"),
        ("/shopify/recommendations", {"customer_email": "ann@example.com"}, "read"),
    ],
)
@pytest.mark.parametrize(("service", "kind"), [("recommender", "storefront")])
async def test_a_key_of_pages_asks_for_one_visitor_by_id(
    client: httpx.AsyncClient, kind: str, path: str, body: dict[str, Any], scope: str
) -> None:
    answer = await client.post(path, json=body, headers={"x-api-key": KEYS[kind]})

    assert (answer.status_code == 403) == (scope == "read"), answer.text


@pytest.mark.parametrize("kind", [*KEYS, "aws", "loopback", "nobody"])
@pytest.mark.parametrize("service", SERVICES)
async def test_credentials_reach_what_the_page_says(
    client: httpx.AsyncClient, declared: dict[Route, frozenset[str]], service: str, kind: str
) -> None:
    """One of its scopes suffices for a route; an operation of the control plane needs all of them."""
    held = declared_credentials()[kind]
    needed = {route: scopes for route, scopes in declared.items() if route.service == service}

    answered = {route.name: not await is_refused(client, route, kind) for route in needed}

    assert answered == {
        route.name: not scopes or (scopes <= held if route.operation else bool(scopes & held))
        for route, scopes in needed.items()
    }
