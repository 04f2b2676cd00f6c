"""The protocols of AWS: replies and errors, parsed by botocore's own parsers."""

import json
from datetime import UTC, datetime
from typing import Any

import asyncpg
import httpx
import orjson
import pytest
from fastapi import FastAPI

from shared.auth import AuthError, Principal
from shared.aws import Arn, WireError, invalid_input, not_found
from shared.aws_server import Answer, Call, Json11, Operation, RestJson
from shared.aws_server.operations import declined
from shared.aws_server.routes import MAX_BODY
from shared.errors import ApiError, Transient
from tests.unit.shared.aws_routes import ARN, TARGET, THING, Everybody, Thing, control, parsed, runtime, scope


async def test_an_invocation_id_that_no_sdk_makes_is_refused() -> None:
    async def handle(call: Call, thing: Thing) -> None:
        raise AssertionError("it comes too far")

    answer = await control(handle).answer(scope(**TARGET, amz_sdk_invocation_id="i" * 3_000), THING)

    body = json.loads(answer.body)
    assert (answer.status, body["__type"]) == (400, "InvalidInputException")
    assert "amz-sdk-invocation-id has 3000 characters" in body["message"]


async def test_a_reply_of_the_control_plane_is_read_by_botocore() -> None:
    at = datetime(2026, 11, 21, 8, 0, 0, 123456, tzinfo=UTC)

    async def handle(call: Call, thing: Thing) -> dict[str, Any]:
        assert (thing.some_name, call.invocation_id, call.region) == ("x", "abc", "eu-west-1")
        arn = Arn("campaign", "x")
        return {"campaign": {"name": thing.some_name, "campaignArn": arn, "creationDateTime": at}}

    headers = {
        **TARGET,
        "amz_sdk_invocation_id": "abc",
        "authorization": "AWS4-HMAC-SHA256 Credential=A/20261121/eu-west-1/personalize/aws4_request, …",
    }
    answer = await control(handle).answer(scope(**headers), THING)

    campaign = parsed("personalize", "DescribeCampaign", answer)["campaign"]
    assert campaign["name"] == "x"
    assert campaign["campaignArn"] == "arn:aws:personalize:::campaign/x"
    assert campaign["creationDateTime"] == at.replace(microsecond=123000)
    assert isinstance(json.loads(answer.body)["campaign"]["creationDateTime"], float)
    assert dict(answer.headers)[b"content-type"] == b"application/x-amz-json-1.1"
    assert len(dict(answer.headers)[b"x-amzn-requestid"]) == 36


@pytest.mark.parametrize(
    ("error", "json_11", "rest_json", "code"),
    [
        (invalid_input("no"), 400, 400, "InvalidInputException"),
        (not_found("no"), 400, 404, "ResourceNotFoundException"),
        (WireError("ResourceInUseException", "no"), 400, 409, "ResourceInUseException"),
        (WireError("ThrottlingException", "no"), 400, 400, "ThrottlingException"),
        (Transient("Kafka is away"), 503, 503, "ServiceUnavailable"),
        (ConnectionRefusedError(), 503, 503, "ServiceUnavailable"),
        (ApiError(503, "Unavailable", "no", retry_after=1), 503, 503, "ServiceUnavailable"),
        (asyncpg.DataError("value out of int32 range"), 400, 400, "InvalidInputException"),
        (asyncpg.UntranslatableCharacterError("\\u0000"), 400, 400, "InvalidInputException"),
        (asyncpg.DivisionByZeroError(), 500, 500, "InternalFailure"),
        (ZeroDivisionError(), 500, 500, "InternalFailure"),
    ],
)
async def test_an_error_has_its_name_and_status_in_both_protocols(
    error: Exception, json_11: int, rest_json: int, code: str
) -> None:
    async def handle(*_: object) -> None:
        raise error

    of_control = await control(handle).answer(scope(**TARGET), THING)
    request = orjson.dumps({"campaignArn": ARN})
    of_runtime = await runtime(handle).answer(scope("/recommendations"), request)

    assert (of_control.status, of_runtime.status) == (json_11, rest_json)
    for service, operation, answer in (
        ("personalize", "DescribeCampaign", of_control),
        ("personalize-runtime", "GetRecommendations", of_runtime),
    ):
        assert parsed(service, operation, answer)["Error"]["Code"] == code
        assert json.loads(answer.body)["__type"] == code
    if json_11 == 503:
        assert dict(of_control.headers)[b"retry-after"] == b"1"


@pytest.mark.parametrize(
    ("refused", "json_11", "rest_json", "code"),
    [
        *(
            (AuthError(401, "x", "no", aws_code=code), 400, 403, code)
            for code in (
                "ExpiredTokenException",
                "IncompleteSignatureException",
                "InvalidSignatureException",
                "MissingAuthenticationTokenException",
                "UnrecognizedClientException",
            )
        ),
        (Principal("t", None, frozenset(), "key"), 400, 403, "AccessDeniedException"),
    ],
)
async def test_a_refused_caller_gets_an_error_of_aws(
    refused: Principal | Exception, json_11: int, rest_json: int, code: str
) -> None:
    async def handle(*_: object) -> None:
        pytest.fail("must not be called")

    of_control = await control(handle, refused).answer(scope(**TARGET), THING)
    of_runtime = await runtime(handle, refused).answer(
        scope("/recommendations"), orjson.dumps({"campaignArn": ARN})
    )

    assert (of_control.status, of_runtime.status) == (json_11, rest_json)
    control_error = parsed("personalize", "DescribeCampaign", of_control)["Error"]
    runtime_error = parsed("personalize-runtime", "GetRecommendations", of_runtime)["Error"]
    assert control_error["Code"] == runtime_error["Code"] == code
    assert control_error["Message"]


@pytest.mark.parametrize("body", [b"{", b"[]", b"3", b"", b"null", b'{"someName": "\\ud800"}', b"\xff"])
async def test_a_body_that_is_wrong_is_invalid_input(body: bytes) -> None:
    async def handle(*_: object) -> None:
        pytest.fail("must not be called")

    answer = await control(handle).answer(scope(**TARGET), body)

    assert (answer.status, json.loads(answer.body)["__type"]) == (400, "InvalidInputException")


@pytest.mark.parametrize(
    ("service", "operation", "path"),
    [
        ("personalize", "CreateSchema", "/"),
        ("personalize-events", "PutItems", "/items"),
        ("personalize-runtime", "GetRecommendations", "/recommendations"),
    ],
)
async def test_a_body_that_is_too_large_is_invalid_input(service: str, operation: str, path: str) -> None:
    async def handle(*_: object) -> None:
        pytest.fail("nobody may be asked")

    known = Operation(operation, Thing, "read", handle)
    routes = Json11(Everybody(), [known]) if path == "/" else RestJson(Everybody(), {path: known})
    app = FastAPI()
    app.include_router(routes.router())
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://endcap") as client:
        answered = await client.post(
            path, content=b" " * (MAX_BODY + 1), headers={"x-amz-target": f"AmazonPersonalize.{operation}"}
        )

    headers = [(name.encode(), value.encode()) for name, value in answered.headers.items()]
    found = parsed(service, operation, Answer(answered.status_code, headers, answered.content))
    assert found["Error"]["Code"] == "InvalidInputException"
    assert f"larger than {MAX_BODY} bytes" in found["Error"]["Message"]
    assert answered.status_code == 400
    assert answered.headers["x-amzn-requestid"]


async def test_an_unknown_operation_is_named_so() -> None:
    async def handle(*_: object) -> None: ...

    answer = await control(handle).answer(scope(x_amz_target="AmazonPersonalize.Nothing"), b"{}")

    assert json.loads(answer.body)["__type"] == "UnknownOperationException"


async def test_an_operation_that_we_decline_says_so() -> None:
    api = RestJson(Everybody(), {"/actions": declined("PutActions", Thing)})  # type: ignore[arg-type]

    answer = await api.answer(scope("/actions"), THING)

    assert (
        json.loads(answer.body)["message"]
        == "PutActions is not supported by Endcap: it has no actions, only items."
    )
