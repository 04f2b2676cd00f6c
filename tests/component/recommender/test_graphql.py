"""GraphQL: queries, the mutation, pages and errors, as clients of AWS AppSync expect them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest
from starlette.types import ASGIApp

from shared.events.topics import CACHES, ITEMS
from tests.component.recommender.world import KEYS, World
from tests.support.waiting import eventually

QUERY = """query Q($userId: String!, $limit: Int, $nextToken: String) {
  getRecommendations(userId: $userId, limit: $limit, nextToken: $nextToken) {
    items { userId itemId score category timestamp __typename } nextToken __typename } }"""
PUT = """mutation M($input: PutRecommendationInput!) {
  putRecommendation(input: $input) { userId itemId score category timestamp } }"""


class Shop:
    """A recommender with one user's list of 25 items in two categories."""

    def __init__(self, world: World, client: httpx.AsyncClient) -> None:
        self.world = world
        self.client = client

    async def send(self, query: str, variables: Any = None, **members: Any) -> httpx.Response:
        body = {"query": query, "variables": variables, **members}
        return await self.client.post("/graphql", json=body)

    async def page(self, **variables: Any) -> Any:
        answer = await self.send(QUERY, {"userId": "u", **variables})
        assert answer.status_code == 200, answer.text
        return answer.json()["data"]["getRecommendations"]


@pytest.fixture(scope="module")
async def served(module_world: World) -> AsyncIterator[ASGIApp]:
    """Yield the recommender that the tests of this module share."""
    async with _serving(module_world) as serving:
        yield serving


@pytest.fixture
async def shop(module_world: World, served: ASGIApp) -> AsyncIterator[Shop]:
    """Yield a client of the shared recommender."""
    async with module_world.caller(served) as client:
        yield Shop(module_world, client)


@pytest.fixture
async def own_shop(world: World) -> AsyncIterator[Shop]:
    """Yield a client of a recommender of the test's own, whose generation may change."""
    async with _serving(world) as serving, world.caller(serving) as client:
        yield Shop(world, client)


@asynccontextmanager
async def _serving(world: World) -> AsyncIterator[ASGIApp]:
    scores = [(f"p{n:02}", 1 - n / 100) for n in range(25)]
    await world.keys()
    await world.lists(1, "user-personalization", {"u": scores, "overridden": scores})
    await world.lists(1, "popularity", {"all": [("p20", 20.0), ("p03", 3.0), ("p24", 1.0)]})
    await world.publish(
        ITEMS,
        *(world.item(item, category="shoes" if n % 2 else "hats") for n, (item, _) in enumerate(scores)),
    )
    await world.publish(CACHES, world.pointer(7, user_personalization=1, popularity=1))
    async with world.serving() as serving, world.caller(serving) as client:

        async def ready() -> bool:
            status = (await client.get("/api/v1/personalize/status")).json()
            return bool(status["items"] == 25 and status["activation"] == 7 and status["redis"])

        await eventually(ready)
        yield serving


async def test_a_page_has_every_field_and_the_token_leads_to_the_next(shop: Shop) -> None:
    first = await shop.page()
    second = await shop.page(nextToken=first["nextToken"])

    assert [item["itemId"] for item in first["items"]] == [f"p{n:02}" for n in range(20)]
    assert [item["itemId"] for item in second["items"]] == [f"p{n:02}" for n in range(20, 25)]
    assert (first["__typename"], second["nextToken"]) == ("RecommendationConnection", None)
    assert {**first["items"][1], "timestamp": 0} == {
        "userId": "u",
        "itemId": "p01",
        "score": 0.99,
        "category": "shoes",
        "timestamp": 0,
        "__typename": "Recommendation",
    }
    assert first["items"][1]["timestamp"] > 1_700_000_000


async def test_a_compiled_selection_answers_as_graphql_core_does(shop: Shop) -> None:
    """A directive makes graphql-core execute the same query."""
    executed = QUERY.replace("itemId", "itemId @include(if: true)", 1)
    aliased = (
        'query { a: getRecommendations(userId: "u", limit: 2) { n: nextToken ...F } } '
        "fragment F on RecommendationConnection { items { itemId } "
        "... on RecommendationConnection { items { s: score } } }"
    )

    one, other = await shop.send(QUERY, {"userId": "u"}), await shop.send(executed, {"userId": "u"})
    compiled = (await shop.send(aliased)).json()
    by_core = (await shop.send(aliased.replace("n: nextToken", "n: nextToken @skip(if: false)"))).json()

    assert one.json() == other.json()
    assert one.content == other.content
    assert compiled == by_core
    assert compiled["data"]["a"]["items"] == [{"itemId": "p00", "s": 1.0}, {"itemId": "p01", "s": 0.99}]


async def test_a_token_is_bound_to_its_generation_and_field(own_shop: Shop) -> None:
    token = (await own_shop.page(limit=3))["nextToken"]
    await own_shop.world.lists(2, "user-personalization", {"u": [("p09", 0.5)]})
    await own_shop.world.publish(CACHES, own_shop.world.pointer(8, user_personalization=2, popularity=1))

    async def is_changed() -> bool:
        return bool((await own_shop.page())["items"][0]["itemId"] == "p09")

    await eventually(is_changed)
    for stale, why in ((token, "older"), ("x", "not one of"), ("", "not one of"), ("é\0", "not one of")):
        answer = await own_shop.send(QUERY, {"userId": "u", "nextToken": stale})
        [error] = answer.json()["errors"]
        assert (answer.status_code, answer.json()["data"]) == (200, {"getRecommendations": None})
        assert why in error["message"]
        assert {**error, "message": ""} == {
            "path": ["getRecommendations"],
            "data": None,
            "errorType": "BadRequestException",
            "errorInfo": None,
            "locations": [{"line": 2, "column": 3, "sourceName": None}],
            "message": "",
        }


async def test_a_category_has_popular_items_first_and_no_user(shop: Shop) -> None:
    query = """{ getRecommendationsByCategory(category: "Hats", limit: 5) {
        items { userId itemId score category } nextToken } }"""
    answer = (await shop.send(query)).json()["data"]["getRecommendationsByCategory"]

    assert [item["itemId"] for item in answer["items"][:2]] == ["p20", "p24"]
    assert {item["category"] for item in answer["items"]} == {"hats"}
    assert {item["userId"] for item in answer["items"]} == {None}
    rest = await shop.send(query.replace("limit: 5", f'limit: 100, nextToken: "{answer["nextToken"]}"'))
    following = rest.json()["data"]["getRecommendationsByCategory"]
    both = {item["itemId"] for item in [*answer["items"], *following["items"]]}
    assert (both, following["nextToken"]) == ({f"p{n:02}" for n in range(0, 25, 2)}, None)


async def test_an_override_is_in_graphql_and_rest_lists_and_a_reading_key_puts_none(shop: Shop) -> None:
    user = "overridden"
    answer = await shop.send(
        PUT, {"input": {"userId": user, "itemId": "new", "score": 0.995, "category": "x"}}
    )
    put = answer.json()["data"]["putRecommendation"]
    assert (put["itemId"], put["score"], put["category"]) == ("new", 0.995, "x")

    page = await shop.page(userId=user, limit=3)
    rest = (await shop.client.get(f"/api/v1/personalize/recommendations/{user}?limit=3")).json()
    assert [item["itemId"] for item in page["items"]] == ["p00", "new", "p01"]
    assert page["items"][1] == {**put, "__typename": "Recommendation"}
    assert [(item["product_id"], item["algorithm"]) for item in rest["recommendations"]] == [
        ("p00", "user-personalization"),
        ("new", "override"),
        ("p01", "user-personalization"),
    ]

    shop.client.headers["x-api-key"] = KEYS["read"]
    refused = (await shop.send(PUT, {"input": {"userId": user, "itemId": "other", "score": 1}})).json()
    assert refused["data"] == {"putRecommendation": None}
    assert refused["errors"][0]["errorType"] == "Unauthorized"
    assert len((await shop.page(userId=user))["items"]) == 20


async def test_a_placement_names_the_strategy_of_each_item(shop: Shop) -> None:
    query = """query($cart: [String!]) { placement(name: "home", userId: "u", cart: $cart, limit: 2) {
        placement revision source items { itemId score category strategy __typename } } }"""
    answer = (await shop.send(query, {"cart": ["p00"]})).json()["data"]["placement"]
    unknown = (await shop.send('{ placement(name: "nowhere") { source } }')).json()
    too_many = (await shop.send(query, {"cart": ["x"] * 101})).json()

    rest = (await shop.client.get("/api/v1/placements/home?userId=u&cart=p00&limit=2")).json()
    assert [(item["itemId"], item["score"], item["strategy"]) for item in answer["items"]] == [
        (item["product_id"], item["score"], item["strategy"]) for item in rest["recommendations"]
    ]
    assert (answer["placement"], answer["source"]) == ("home", rest["source"])
    assert len(answer["items"]) == 2
    assert unknown["data"] == {"placement": None}
    assert "nowhere" in unknown["errors"][0]["message"]
    assert too_many["errors"][0]["message"] == "cart may have 100 items."


@pytest.mark.parametrize(
    ("key", "status", "error_type", "message"),
    [
        (None, 401, "UnauthorizedException", "Valid authorization header not provided."),
        ("wrong", 401, "UnauthorizedException", "You are not authorized to make this call."),
        (KEYS["ingest"], 403, "UnauthorizedException", "this call needs recommend"),
    ],
)
async def test_callers_are_refused_in_appsyncs_format(
    shop: Shop, key: str | None, status: int, error_type: str, message: str
) -> None:
    del shop.client.headers["x-api-key"]
    headers = {} if key is None else {"x-api-key": key}

    answer = await shop.client.post("/graphql", json={"query": "{ __typename }"}, headers=headers)

    assert answer.status_code == status
    assert answer.headers["x-amzn-errortype"] == error_type
    [error] = answer.json()["errors"]
    assert error["errorType"] == error_type
    assert message in error["message"]


async def test_get_runs_queries_alone_and_introspection_works(shop: Shop) -> None:
    query = {"query": QUERY, "variables": '{"userId": "u", "limit": 1}', "operationName": "Q"}
    answer = await shop.client.get("/graphql", params=query)
    mutation = await shop.client.get("/graphql", params={"query": PUT, "variables": "{}"})
    schema = await shop.send("{ __schema { queryType { fields { name } } } }")

    assert answer.json()["data"]["getRecommendations"]["items"][0]["itemId"] == "p00"
    assert mutation.status_code == 405
    names = {field["name"] for field in schema.json()["data"]["__schema"]["queryType"]["fields"]}
    assert {"getRecommendations", "getRecommendationsByCategory"} <= names


async def test_a_page_of_a_browser_may_call(shop: Shop) -> None:
    preflight = await shop.client.options(
        "/graphql",
        headers={
            "origin": "https://shop.example",
            "access-control-request-method": "POST",
            "access-control-request-headers": "content-type,x-api-key,x-amz-user-agent",
        },
    )
    answer = await shop.client.post(
        "/graphql", json={"query": "{ __typename }"}, headers={"origin": "https://shop.example"}
    )

    assert preflight.status_code == 200
    allowed = preflight.headers["access-control-allow-headers"].lower()
    assert all(name in allowed for name in ("content-type", "x-api-key", "x-amz-user-agent"))
    assert answer.headers["access-control-allow-origin"] == "*"
    assert answer.json() == {"data": {"__typename": "Query"}}


@pytest.mark.parametrize(
    ("content", "status", "message"),
    [
        (b"", 400, "Request body is empty."),
        (b"{}", 400, "Unable to parse GraphQL query."),
        (b"\xff\0", 400, "Unable to parse GraphQL query."),
        (b"[" * 60_000, 400, "Unable to parse GraphQL query."),
        (b" " * 200_000, 413, "The body is larger than 65536 bytes"),
        (b'{"query": "{ __typename }", "operationName": "x"}', 400, "Unknown operation named 'x'."),
        (
            b'{"query": "subscription { onRecommendations(userId: \\"u\\") { itemId } }"}',
            400,
            "/graphql/realtime",
        ),
        (b'{"query": "{ getRecommendations(userId: \\"\\\\u0000\\") { nextToken } }"}', 200, "no text"),
        (b'{"query": "{ getRecommendations(userId: \\"\\") { nextToken } }"}', 200, "userId must have"),
        (
            b'{"query": "{ getRecommendations(userId: \\"u\\", limit: 101) { nextToken } }"}',
            200,
            "limit must be",
        ),
    ],
)
async def test_a_request_that_cannot_be_answered_says_why(
    shop: Shop, content: bytes, status: int, message: str
) -> None:
    answer = await shop.client.post("/graphql", content=content)

    assert answer.status_code == status
    assert message in answer.json()["errors"][0]["message"]
    assert (await shop.send("{ __typename }")).status_code == 200


async def test_an_infinite_score_is_refused(shop: Shop) -> None:
    query = 'mutation { putRecommendation(input: {userId: "u", itemId: "i", score: 1e999}) { itemId } }'

    answer = (await shop.send(query)).json()

    assert answer["data"] == {"putRecommendation": None}
    assert "finite" in answer["errors"][0]["message"]
