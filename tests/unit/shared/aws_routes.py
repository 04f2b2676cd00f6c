"""Routes of both AWS protocols for the tests of the wire format, and botocore to parse their answers."""

from collections.abc import Mapping
from typing import Any

from botocore.loaders import Loader
from botocore.model import ServiceModel
from botocore.parsers import create_parser

from shared.auth import Principal, Scope
from shared.aws import WireModel
from shared.aws.personalize.runtime import GetRecommendationsRequest
from shared.aws_server import Answer, Json11, Operation, RestJson

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
