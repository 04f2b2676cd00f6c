"""Subscriptions in AppSync's real-time protocol, over the protocol of every Endcap process."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import httpx
import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from shared.settings import HttpSettings
from tests.component.recommender.world import KEYS, World
from tests.support.waiting import PATIENCE

SUBSCRIBE = (
    "subscription S($userId: String!) { onRecommendationAdded(userId: $userId) { itemId score __typename } }"
)
PUT = """mutation M($input: PutRecommendationInput!) { putRecommendation(input: $input) { itemId } }"""
OTHER = '{"userId": "somebody else", "itemId": "x", "score": 1}'


def encoded(document: object) -> str:
    return base64.b64encode(json.dumps(document).encode()).decode()


@asynccontextmanager
async def socket(url: str, key: str, *protocols: str) -> AsyncIterator[ClientConnection]:
    """A connection of aws-appsync, or of Amplify with the header in a sub-protocol."""
    address = url.replace("http", "ws", 1) + "/graphql/realtime"
    if not protocols:
        query = httpx.QueryParams(header=encoded({"host": "x", "x-api-key": key}), payload=encoded({}))
        address += f"?{query}"
    async with connect(address, subprotocols=["graphql-ws", *protocols], open_timeout=PATIENCE) as websocket:
        yield websocket


async def reply(websocket: ClientConnection, *messages: object) -> Any:
    """Send messages and return the next answer that is no keep-alive."""
    for message in messages:
        await websocket.send(json.dumps(message))
    while True:
        answer = json.loads(await asyncio.wait_for(websocket.recv(), PATIENCE))
        if answer["type"] != "ka":
            return answer


def start(
    identifier: str, key: str = KEYS["read"], query: str = SUBSCRIBE, **variables: Any
) -> dict[str, Any]:
    data = json.dumps({"query": query, "variables": {"userId": "u", **variables}})
    extensions = {"authorization": {"host": "x", "x-api-key": key}}
    return {"id": identifier, "type": "start", "payload": {"data": data, "extensions": extensions}}


async def put(url: str, tenant: str, user: str, item: str) -> None:
    headers = {"x-api-key": KEYS["service"], "x-endcap-tenant": tenant}
    variables = {"input": {"userId": user, "itemId": item, "score": 0.5}}
    async with httpx.AsyncClient(timeout=PATIENCE) as client:
        answer = await client.post(
            f"{url}/graphql", json={"query": PUT, "variables": variables}, headers=headers
        )
    assert answer.json() == {"data": {"putRecommendation": {"itemId": item}}}


@pytest.fixture
async def url(world: World) -> AsyncIterator[str]:
    await world.keys()
    async with world.listening() as url:
        yield url


async def test_a_subscriber_gets_what_is_put_for_its_user_until_it_stops(world: World, url: str) -> None:
    async with socket(url, KEYS["read"]) as websocket:
        acknowledged = await reply(websocket, {"type": "connection_init"})
        assert acknowledged == {"type": "connection_ack", "payload": {"connectionTimeoutMs": 300_000}}
        assert await reply(websocket, start("one")) == {"type": "start_ack", "id": "one"}

        await put(url, world.tenant, "somebody else", "other")
        await put(url, world.tenant, "u", "mine")
        recommendation = {"itemId": "mine", "score": 0.5, "__typename": "Recommendation"}
        assert await reply(websocket) == {
            "id": "one",
            "type": "data",
            "payload": {"data": {"onRecommendationAdded": recommendation}},
        }

        assert await reply(websocket, {"type": "stop", "id": "one"}) == {"type": "complete", "id": "one"}
        await put(url, world.tenant, "u", "later")
        assert (await reply(websocket, {"type": "stop", "id": "one"}))["type"] == "error"


async def test_a_put_in_one_process_reaches_subscribers_of_another(world: World, url: str) -> None:
    async with world.listening() as other, socket(other, KEYS["read"]) as websocket:
        await reply(websocket, {"type": "connection_init"}, start("one"))
        await reply(websocket)

        await put(url, world.tenant, "u", "mine")

        assert (await reply(websocket))["payload"]["data"]["onRecommendationAdded"]["itemId"] == "mine"


async def test_the_key_may_be_in_a_sub_protocol(url: str) -> None:
    header = base64.urlsafe_b64encode(json.dumps({"x-api-key": KEYS["read"]}).encode()).decode().rstrip("=")

    async with socket(url, "", f"header-{header}") as websocket:
        assert (await reply(websocket, {"type": "connection_init"}))["type"] == "connection_ack"
        assert websocket.subprotocol == "graphql-ws"


@pytest.mark.parametrize("key", ["wrong", KEYS["ingest"]])
async def test_a_key_that_may_not_read_gets_an_error_and_the_end(url: str, key: str) -> None:
    async with socket(url, key) as websocket:
        answer = await reply(websocket, {"type": "connection_init"})
        [error] = answer["payload"]["errors"]
        assert (answer["type"], error["errorType"]) == ("connection_error", "UnauthorizedException")
        assert error["errorCode"] in {401, 403}
        with pytest.raises(ConnectionClosed):
            await asyncio.wait_for(websocket.recv(), PATIENCE)


@pytest.mark.parametrize(
    ("message", "why"),
    [
        ("no JSON", "JSON object"),
        ("[1]", "JSON object"),
        ({"type": "other"}, "The type is"),
        ({"type": "start"}, "id must be"),
        ({"type": "stop", "id": ["x"]}, "no subscription"),
        ({"id": "a", "type": "start", "payload": 3}, "payload.data"),
        ({"id": "a", "type": "start", "payload": {"data": "x"}}, "payload.data"),
        (start("a", key="wrong"), "not authorized"),
        (start("a", userId=None), "coerced Null value"),
        (start("a", userId=""), "userId must have"),
        (start("a", query="{ __typename }"), "Only subscriptions"),
        (start("a", query="subscription { x }"), "FieldUndefined"),
        (start("a", query="subscription {"), "Unable to parse"),
    ],
)
async def test_a_wrong_message_gets_an_error_and_the_connection_goes_on(
    url: str, message: Any, why: str
) -> None:
    async with socket(url, KEYS["read"]) as websocket:
        await reply(websocket, {"type": "connection_init"})
        await websocket.send(message if isinstance(message, str) else json.dumps(message))
        answer = await reply(websocket)
        assert answer["type"] == "error"
        assert why in answer["payload"]["errors"][0]["message"]
        assert await reply(websocket, start("good")) == {"type": "start_ack", "id": "good"}


async def test_sockets_are_no_requests_that_run(world: World) -> None:
    """More than `http_max_requests` of them leave room for requests."""
    await world.keys()
    async with world.listening(http=HttpSettings(http_max_requests=2)) as url, AsyncExitStack() as stack:
        for _ in range(4):
            websocket = await stack.enter_async_context(socket(url, KEYS["read"]))
            await reply(websocket, {"type": "connection_init"}, start("one"))

        await put(url, world.tenant, "u", "mine")


async def test_other_paths_and_protocols_are_no_websockets(url: str) -> None:
    address = url.replace("http", "ws", 1)
    for path, protocols in (("/graphql", ["graphql-ws"]), ("/graphql/realtime", ["graphql-transport-ws"])):
        with pytest.raises(InvalidStatus) as refused:
            await connect(address + path, subprotocols=protocols, open_timeout=PATIENCE)
        assert refused.value.response.status_code == 403


@pytest.mark.parametrize(
    ("request_line", "header"),
    [
        ("POST /graphql/realtime", "content-length: 3"),
        ("GET /graphql/realtime", "content-length: 3"),
        (f"GET /graphql/realtime?{'a' * 5_000}", "accept: */*"),
    ],
)
async def test_what_is_no_handshake_is_answered_as_http(url: str, request_line: str, header: str) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", int(url.rpartition(":")[2]))
    offer = "connection: upgrade\r\nupgrade: websocket\r\nsec-websocket-version: 13"
    writer.write(f"{request_line} HTTP/1.1\r\nhost: x\r\n{offer}\r\n{header}\r\n\r\nabc".encode())

    assert b"404 Not Found" in await asyncio.wait_for(reader.readline(), PATIENCE)
    writer.close()
