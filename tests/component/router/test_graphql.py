"""GraphQL through the router: the recommender answers, with the caller's own key."""

from __future__ import annotations

from typing import Any

BODY = {"query": "{ __typename }"}


async def test_a_request_is_forwarded_with_the_key_of_its_caller(world: Any) -> None:
    async with world.router() as caller:
        posted = await caller.post("/graphql", json=BODY)
        got = await caller.get("/graphql", params=BODY)

    assert (posted.status_code, got.status_code) == (200, 200)
    [post, get] = world.recommender.requests
    assert (post["path"], post["body"], post["key"]) == ("/graphql", BODY, caller.headers["x-api-key"])
    assert (get["path"], get["query"]) == ("/graphql", BODY)


async def test_a_caller_without_a_key_does_not_become_the_router(world: Any) -> None:
    async with world.router() as caller:
        refused = [
            await caller.post("/graphql", json=BODY, headers={"x-api-key": key}) for key in ("", "wrong")
        ]
        del caller.headers["x-api-key"]
        refused.append(await caller.post("/graphql", json=BODY))

    assert [answer.status_code for answer in refused] == [401, 401, 401]
    assert {answer.headers["x-amzn-errortype"] for answer in refused} == {"UnauthorizedException"}
    assert refused[-1].json()["errors"][0]["message"] == "Valid authorization header not provided."
    assert world.recommender.requests == []
