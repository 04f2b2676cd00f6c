"""The wire format of Personalize, parsed by botocore's own parsers."""

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import asyncpg
import httpx
import orjson
import pytest
from botocore.loaders import Loader
from botocore.model import ServiceModel
from botocore.parsers import create_parser
from fastapi import FastAPI
from hypothesis import given
from hypothesis import strategies as st

from shared.auth import AuthError, Principal, Scope
from shared.aws import Arn, PageTokens, WireError, WireModel, invalid_input, not_found
from shared.aws.personalize.events import PutEventsRequest, PutItemsRequest
from shared.aws.personalize.runtime import GetPersonalizedRankingRequest, GetRecommendationsRequest
from shared.aws.protocols import parse
from shared.aws_server import Answer, Call, Json11, Operation, RestJson
from shared.aws_server.operations import declined
from shared.aws_server.routes import MAX_BODY
from shared.errors import ApiError, Transient

ARN = "arn:aws:personalize:eu-west-1:123456789012:campaign/home"
PRINCIPAL = Principal(None, "000000000000", frozenset({"read", "admin"}), "sigv4")


class Everybody:
    """An authenticator that lets in whoever is told."""

    def __init__(self, result: Principal | Exception = PRINCIPAL) -> None:
        self.result = result

    def known(self, _: Mapping[str, Any]) -> Principal | None:
        return None

    def admit(self, principal: Principal, scope: Scope) -> Principal:
        return principal.may(scope)

    async def check_headers(self, *_: object) -> None:
        await self.of_scope()

    async def of_scope(self, *_: object) -> Principal:
        if isinstance(self.result, Exception):
            raise self.result
        return self.result


class Thing(WireModel):
    some_name: str


def scope(path: str = "/", **headers: str) -> dict[str, Any]:
    return {
        "type": "http",
        "path": path,
        "headers": [(k.replace("_", "-").encode(), v.encode()) for k, v in headers.items()],
    }


def parsed(service: str, operation: str, answer: Answer) -> dict[str, Any]:
    """What a boto3 client would make of the answer."""
    model = ServiceModel(Loader().load_service_model(service, "service-2"))
    parser = create_parser(model.metadata["protocol"])
    response = {
        "status_code": answer.status,
        "headers": {k.decode(): v.decode() for k, v in answer.headers},
        "body": answer.body,
    }
    found: dict[str, Any] = parser.parse(response, model.operation_model(operation).output_shape)
    return found


def control(handle: Any, result: Principal | Exception = PRINCIPAL) -> Json11:
    operation = Operation("DescribeCampaign", Thing, "admin", handle)
    return Json11(Everybody(result), [operation])  # stands for it


def runtime(handle: Any, result: Principal | Exception = PRINCIPAL) -> RestJson:
    operation = Operation("GetRecommendations", GetRecommendationsRequest, "read", handle)
    return RestJson(Everybody(result), {"/recommendations": operation})  # type: ignore[arg-type]


TARGET = {"x_amz_target": "AmazonPersonalize.DescribeCampaign"}
THING = b'{"someName": "x", "unknown": [1]}'


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
async def test_a_caller_who_is_refused_hears_it_in_the_words_of_aws(
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


def an_event(**changes: Any) -> dict[str, Any]:
    return {"eventType": "View", "sentAt": 1_700_000_000} | changes


def put_events(*events: dict[str, Any], **changes: Any) -> bytes:
    return json.dumps(
        {"trackingId": "t", "sessionId": "s", "eventList": events or [an_event()]} | changes
    ).encode()


@pytest.mark.parametrize(
    "body",
    [
        put_events(*[an_event()] * 11),
        put_events(an_event(impression=["i"] * 26)),
        put_events(an_event(impression=[])),
        put_events(an_event(properties=json.dumps({"a": "x" * 1016}))),
        put_events(an_event(properties="[1]")),
        put_events(an_event(properties="{")),
        put_events(an_event(properties='{"a": "\\u0000"}')),
        put_events(an_event(recommendationId="r" * 41)),
        put_events(an_event(itemId="")),
        put_events(an_event(itemId="i" * 257)),
        put_events(an_event(itemId="nul\x00")),
        put_events(an_event(eventType=None)),
        put_events(an_event(sentAt=1_700_000_000_000)),
        put_events(an_event(sentAt="soon")),
        put_events(an_event(sentAt=float("inf"))).replace(b"Infinity", b'"inf"'),
        put_events(an_event(eventValue="NaN")),
        put_events(an_event(metricAttribution={"eventAttributionSource": "  "})),
        put_events(eventList=[]),
        put_events(sessionId=None),
        put_events(trackingId="t" * 257),
    ],
)
def test_what_boto3_lets_through_is_checked(body: bytes) -> None:
    with pytest.raises(WireError) as refused:
        parse(PutEventsRequest, body)

    assert refused.value.code == "InvalidInputException"


@pytest.mark.parametrize(
    ("event", "sentence"),
    [
        (
            {"recommendationId": "r" * 41},
            "eventList.0.recommendationId: Value should have at most 40 characters, not 41",
        ),
        ({"properties": "{"}, "eventList.0.properties: must be the text of a JSON object"),
        ({"impression": ["i"] * 26}, "eventList.0.impression: List should have at most 25 items, not 26"),
    ],
)
def test_what_is_wrong_with_an_event_is_said_once(event: dict[str, Any], sentence: str) -> None:
    with pytest.raises(WireError) as refused:
        parse(PutEventsRequest, put_events(an_event(**event)))

    assert str(refused.value) == f"1 validation error detected: {sentence}"


def test_an_event_at_its_limits_is_accepted() -> None:
    event = an_event(
        eventId="e" * 256,
        itemId="i" * 256,
        properties=json.dumps({"a": "x" * 1015}),
        recommendationId="r" * 40,
        impression=["i"] * 25,
        eventValue=None,
        metricAttribution={"eventAttributionSource": "news letter"},
        invented="ignored",
    )

    request = parse(PutEventsRequest, put_events(*[event] * 10, userId=None))

    assert len(request.event_list) == 10
    assert request.user_id is None


@pytest.mark.parametrize(
    ("sent", "expected"),
    [
        (1_553_631_760, "2019-03-26T20:22:40+00:00"),
        (1_553_631_760.123, "2019-03-26T20:22:40.123000+00:00"),
        ("1553631760", "2019-03-26T20:22:40+00:00"),
        ("2019-03-26T20:22:40Z", "2019-03-26T20:22:40+00:00"),
        ("2019-03-26T20:22:40", "2019-03-26T20:22:40+00:00"),
    ],
)
def test_a_time_comes_as_number_or_text(sent: Any, expected: str) -> None:
    request = parse(PutEventsRequest, put_events(an_event(sentAt=sent)))

    assert request.event_list[0].sent_at.isoformat() == expected


@pytest.mark.parametrize(
    "request_",
    [
        {},
        {"campaignArn": ARN, "recommenderArn": ARN},
        {"campaignArn": "nope"},
        {"campaignArn": ARN, "numResults": 501},
        {"campaignArn": ARN, "numResults": 51, "metadataColumns": {"ITEMS": ["A"]}},
        {"campaignArn": ARN, "metadataColumns": {"USERS": ["A"]}},
        {"campaignArn": ARN, "numResults": -1},
        {"campaignArn": ARN, "userId": "u" * 257},
        {"campaignArn": ARN, "context": {"a b": "x"}},
        {"campaignArn": ARN, "context": {f"k{i}": "x" for i in range(151)}},
        {"campaignArn": ARN, "filterValues": {"k": "x" * 1001}},
        {"campaignArn": ARN, "filterValues": {f"k{i}": "x" for i in range(26)}},
        {"campaignArn": ARN, "promotions": [{}, {}]},
        {"campaignArn": ARN, "promotions": [{"percentPromotedItems": 101}]},
    ],
)
def test_the_limits_of_get_recommendations_are_checked(request_: dict[str, Any]) -> None:
    with pytest.raises(WireError):
        parse(GetRecommendationsRequest, orjson.dumps(request_))


def test_get_recommendations_gives_25_unless_told_otherwise() -> None:
    assert parse(GetRecommendationsRequest, orjson.dumps({"campaignArn": ARN})).limit == 25
    none = {"recommenderArn": ARN, "numResults": 0}
    assert parse(GetRecommendationsRequest, orjson.dumps(none)).limit == 0


def test_a_ranking_takes_500_items() -> None:
    request = {"campaignArn": ARN, "userId": "u", "inputList": ["i"] * 500}

    assert len(parse(GetPersonalizedRankingRequest, orjson.dumps(request)).input_list) == 500
    with pytest.raises(WireError):
        parse(GetPersonalizedRankingRequest, orjson.dumps(request | {"inputList": ["i"] * 501}))


def test_the_limits_of_put_items_are_checked() -> None:
    arn = "arn:aws:personalize:eu-west-1:1:dataset/shop/ITEMS"
    item = {"itemId": "1", "properties": json.dumps({"a": "x" * 31_000})}

    parse(PutItemsRequest, orjson.dumps({"datasetArn": arn, "items": [item] * 10}))
    for wrong in ([item] * 11, [], [item | {"properties": json.dumps({"a": "x" * 32_000})}]):
        with pytest.raises(WireError):
            parse(PutItemsRequest, orjson.dumps({"datasetArn": arn, "items": wrong}))


@pytest.mark.parametrize(
    ("text", "kind", "path"),
    [
        (ARN, "campaign", "home"),
        ("arn:aws-cn:personalize:cn-north-1:000000000000:dataset/shop/ITEMS", "dataset", "shop/ITEMS"),
        ("arn:aws:personalize:::recipe/aws-sims", "recipe", "aws-sims"),
        ("arn:aws:personalize:eu:1:solution/s/0a1b2c3d", "solution", "s/0a1b2c3d"),
    ],
)
def test_an_arn_of_any_account_is_read(text: str, kind: str, path: str) -> None:
    arn = Arn.parse(text)

    assert (arn.kind, arn.path, arn.name) == (kind, path, path.split("/", maxsplit=1)[0])
    assert str(arn) == text.replace("aws-cn", "aws")


@pytest.mark.parametrize("text", ["", "nope", "arn:aws:s3:::bucket", "arn:aws:personalize:a:b:campaign/"])
def test_what_is_no_arn_is_invalid_input(text: str) -> None:
    with pytest.raises(WireError, match="Invalid ARN"):
        Arn.parse(text)


def test_an_arn_of_another_kind_is_refused() -> None:
    with pytest.raises(WireError, match="expected a dataset"):
        Arn.parse(ARN, "dataset")


@given(st.recursive(st.none() | st.integers(-(2**53), 2**53) | st.text("aé/", max_size=9), st.lists))
def test_a_page_token_comes_back_as_it_was(cursor: Any) -> None:
    tokens = PageTokens("secret")

    assert PageTokens("secret").read("ListSchemas", tokens.issue("ListSchemas", cursor)) == cursor


@pytest.mark.parametrize("change", ["letter", "operation", "secret", "garbage", "unicode", "empty"])
def test_a_page_token_that_was_tampered_with_is_refused(change: str) -> None:
    token = PageTokens("secret").issue("ListSchemas", ["shop", 7])
    reader, operation = PageTokens("secret"), "ListSchemas"
    match change:
        case "letter":
            token = token[:-6] + ("A" if token[-6] != "A" else "B") + token[-5:]
        case "operation":
            operation = "ListSolutions"
        case "secret":
            reader = PageTokens("another")
        case "garbage":
            token = "???"
        case "unicode":
            token = "\u2603"
        case _:
            token = ""

    with pytest.raises(WireError) as refused:
        reader.read(operation, token)

    assert refused.value.code == "InvalidNextTokenException"
