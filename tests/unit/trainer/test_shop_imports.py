"""The client of sync: the import, its state, or the error of each status that sync answers with."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from pydantic import SecretStr

from services.trainer.settings import Settings, SyncSettings
from services.trainer.store import ImportState, ShopImports
from shared.errors import ApiError, Permanent, Transient
from shared.settings import AuthSettings

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

SERVICE_KEY = "endcap_service_key"
LOCATION = "s3://shop-data/interactions.csv"


@asynccontextmanager
async def sync_that(answer: Callable[[httpx.Request], httpx.Response]) -> AsyncIterator[ShopImports]:
    """Yield the client of a sync that answers so."""
    settings = Settings(
        auth=AuthSettings(endcap_service_key=SecretStr(SERVICE_KEY)),
        sync=SyncSettings(endcap_sync_url="http://sync:8002/"),
    )
    imports = ShopImports(settings, httpx.MockTransport(answer))
    await imports.start()
    try:
        yield imports
    finally:
        await imports.stop()


@pytest.mark.parametrize(("kind", "more"), [("items", {"kind": "items"}), (None, {})])
async def test_an_import_is_asked_for_as_a_service_that_names_the_tenant(
    kind: str | None, more: dict[str, str]
) -> None:
    requests: list[httpx.Request] = []

    def answer(request: httpx.Request) -> httpx.Response:
        requests.append(request)
        return httpx.Response(202, json={"id": "import-1", "kind": "items", "status": "queued"})

    async with sync_that(answer) as imports:
        assert await imports.begin("shop", LOCATION, kind) == "import-1"

    (request,) = requests
    assert (request.method, str(request.url)) == ("POST", "http://sync:8002/v1/imports/objects")
    assert (request.headers["x-api-key"], request.headers["x-endcap-tenant"]) == (SERVICE_KEY, "shop")
    assert json.loads(request.content) == {"location": LOCATION} | more


@pytest.mark.parametrize("status", [400, 403, 404, 422])
async def test_a_refusal_has_the_sentence_of_sync(status: int) -> None:
    async with sync_that(lambda _: httpx.Response(status, json={"detail": "There is no object."})) as imports:
        with pytest.raises(Permanent, match="There is no object"):
            await imports.begin("shop", LOCATION, None)


def _cut(_: httpx.Request) -> httpx.Response:
    message = "connection refused"
    raise httpx.ConnectError(message)


@pytest.mark.parametrize(
    "answer",
    [
        _cut,
        lambda _: httpx.Response(503, json={"detail": "Postgres is not reachable."}),
        lambda _: httpx.Response(500, json={"detail": "An unexpected error."}),
        lambda _: httpx.Response(401, json={"detail": "This key is unknown."}),
        lambda _: httpx.Response(502, text="<html>"),
    ],
)
async def test_an_outage_or_a_wrong_service_key_is_no_fault_of_the_caller(
    answer: Callable[[httpx.Request], httpx.Response],
) -> None:
    async with sync_that(answer) as imports:
        with pytest.raises(Transient):
            await imports.begin("shop", LOCATION, None)
        with pytest.raises(Transient):
            await imports.state("shop", "import-1")


async def test_too_many_waiting_imports_are_a_429_with_the_time_to_wait() -> None:
    full = httpx.Response(429, json={"detail": "100 imports wait."}, headers={"retry-after": "60"})
    async with sync_that(lambda _: full) as imports:
        with pytest.raises(ApiError) as refused:
            await imports.begin("shop", LOCATION, None)
    assert (refused.value.status, refused.value.retry_after) == (429, 60)


@pytest.mark.parametrize(
    ("document", "state"),
    [
        ({"status": "queued", "relayed": False}, ImportState("running")),
        ({"status": "running", "relayed": False}, ImportState("running")),
        ({"status": "done", "relayed": False}, ImportState("running")),
        ({"status": "done", "relayed": True}, ImportState("done")),
        (
            {"status": "failed", "relayed": False, "file": "items.csv", "error": "It has no column item_id."},
            ImportState("failed", "items.csv: It has no column item_id."),
        ),
    ],
)
async def test_an_import_has_ended_when_kafka_has_all_of_its_events(
    document: dict[str, Any], state: ImportState
) -> None:
    async with sync_that(lambda _: httpx.Response(200, json=document)) as imports:
        assert await imports.state("shop", "import-1") == state


async def test_an_import_that_sync_does_not_know_has_failed() -> None:
    unknown = httpx.Response(404, json={"detail": "There is no import import-1."})
    async with sync_that(lambda _: unknown) as imports:
        assert await imports.state("shop", "import-1") == ImportState(
            "failed", "There is no import import-1."
        )
