"""The gateway in front of the running product: unmodified SDKs, streams and pages at one address."""

from __future__ import annotations

import asyncio
import base64
import io
import json
import os
import uuid
from collections.abc import Iterator
from typing import Any

import boto3
import httpx
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError
from websockets.asyncio.client import connect

from tests.support.product import Endcap
from tests.support.waiting import PATIENCE, until

MEBIBYTE = 2**20


@pytest.fixture(scope="module")
def aws(endcap: Endcap) -> Iterator[boto3.Session]:
    """A session of boto3 that knows a key pair and one address."""
    variables = ("AWS_ENDPOINT_URL", "AWS_REGION", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")
    with pytest.MonkeyPatch.context() as patch:
        for name in [name for name in os.environ if name.startswith("AWS_")]:
            patch.delenv(name)
        for name in variables:
            patch.setenv(name, endcap.environment[name])
        patch.setenv("AWS_DEFAULT_REGION", endcap.environment["AWS_REGION"])
        yield boto3.Session()


@pytest.fixture(scope="module")
def client(endcap: Endcap) -> Iterator[httpx.Client]:
    """An HTTP client of the address."""
    with httpx.Client(base_url=endcap.environment["ENDCAP_URL"], timeout=PATIENCE) as http:
        yield http


@pytest.fixture(scope="module")
def bucket(aws: boto3.Session) -> str:
    name = f"gateway-{uuid.uuid4().hex[:8]}"
    aws.client("s3").create_bucket(Bucket=name)
    return name


@pytest.mark.parametrize("key", ["a/b.csv", "a//b", "a b+c%2F=&ü.csv", "x/./y"])
def test_objects_keep_their_keys_and_metadata(aws: boto3.Session, bucket: str, key: str) -> None:
    s3 = aws.client("s3")
    s3.put_object(Bucket=bucket, Key=key, Body=b"content", Metadata={"under_score": "1", "dash-ed": "2"})

    answer = s3.get_object(Bucket=bucket, Key=key)

    assert answer["Body"].read() == b"content"
    assert answer["Metadata"] == {"under_score": "1", "dash-ed": "2"}


def test_a_large_file_passes_in_parts_and_by_a_presigned_address(aws: boto3.Session, bucket: str) -> None:
    s3, content = aws.client("s3"), os.urandom(20 * MEBIBYTE)
    s3.upload_fileobj(io.BytesIO(content), bucket, "large.bin")
    signing = aws.client("s3", config=Config(signature_version="s3v4"))
    address = signing.generate_presigned_url("get_object", Params={"Bucket": bucket, "Key": "large.bin"})
    upload = signing.generate_presigned_url("put_object", Params={"Bucket": bucket, "Key": "put.bin"})

    assert httpx.get(address, timeout=PATIENCE).content == content
    assert httpx.put(upload, content=content, timeout=PATIENCE).status_code == 200
    assert s3.head_object(Bucket=bucket, Key="put.bin")["ContentLength"] == len(content)


def test_the_services_of_personalize_share_the_address(aws: boto3.Session, endcap: Endcap) -> None:
    groups = aws.client("personalize").list_dataset_groups()["datasetGroups"]
    events = aws.client("personalize-events").put_events(
        trackingId=endcap.keys["tracking_id"],
        userId="gateway-user",
        sessionId="gateway",
        eventList=[{"eventType": "view", "itemId": "gateway-item", "sentAt": 1_790_000_000}],
    )
    with pytest.raises(ClientError) as unknown:
        aws.client("personalize-runtime").get_recommendations(
            campaignArn="arn:aws:personalize:us-east-1:000000000000:campaign/none", userId="u"
        )

    assert "default" in {group["name"] for group in groups}
    assert events["ResponseMetadata"]["HTTPStatusCode"] == 200
    assert unknown.value.response["Error"]["Code"] == "ResourceNotFoundException"


def test_a_service_of_aws_that_is_not_here_is_named(aws: boto3.Session) -> None:
    with pytest.raises(ClientError) as refused:
        aws.client("ec2").describe_instances()
    with pytest.raises(ClientError) as planned:
        aws.client("glue").get_databases()

    assert refused.value.response["ResponseMetadata"]["HTTPStatusCode"] == 404
    assert "Personalize, S3" in planned.value.response["Error"]["Message"]


def test_rest_and_pages(client: httpx.Client, endcap: Endcap) -> None:
    key = {"x-api-key": endcap.keys["read"]}
    popular = client.get("/api/v1/personalize/recommendations/u-1", headers={**key, "x-request-id": "mine-1"})
    runs = client.get("/v1/runs", headers=key, params={"limit": 1})
    page = client.get("/docs/tracker")
    script = client.get("/docs/page.js")

    assert popular.status_code == runs.status_code == page.status_code == script.status_code == 200
    assert popular.headers.get_list("x-request-id") == ["mine-1"]
    assert "Endcap tracker" in page.text
    assert client.get("/docs/tracker/openapi.json").json()["info"]["title"] == "Endcap tracker"
    assert '<a href="/docs/engine">' in client.get("/docs/").text
    assert runs.headers["x-request-id"] != ""


def test_an_unknown_path_names_what_exists(client: httpx.Client) -> None:
    answer = client.get("/v1/nothing/here")

    assert answer.status_code == 404
    assert answer.json()["error"] == "NotFound"
    assert "/v1/events" in answer.json()["paths"]
    assert "S3" in answer.json()["aws"]
    assert client.get("/healthz").json() == {"status": "ok"}


def test_a_request_of_a_stranger_needs_a_key(client: httpx.Client, endcap: Endcap) -> None:
    """Neither the keyless mode of a loopback address nor the tenant of a service reaches through."""
    path = "/api/v1/personalize/recommendations/u-1"
    forged = {"x-api-key": endcap.stack.secrets.service_key, "x-endcap-tenant": "default"}

    assert client.get(path).status_code == 401
    assert client.get(path, headers=forged).status_code in {400, 403}


def test_metrics_and_probes_stay_inside(client: httpx.Client) -> None:
    assert {client.get(path).status_code for path in ("/metrics", "/livez", "/readyz", "/-/s3")} == {404}


def test_a_large_body_is_refused_where_no_upload_is_expected(client: httpx.Client, endcap: Endcap) -> None:
    key = {"x-api-key": endcap.keys["admin"]}
    refused = client.post("/v1/events", content=b" " * (3 * MEBIBYTE), headers=key)
    file = b"item_id,name\n" + b"".join(b"gateway-%d,%s\n" % (n, b"x" * 1_000) for n in range(3_000))
    accepted = client.post("/v1/imports", params={"kind": "items"}, content=file, headers=key)

    assert refused.status_code == 413
    assert refused.json()["error"] == "TooLarge"
    assert accepted.status_code != 413


async def test_events_of_a_stream_arrive_while_it_is_open(endcap: Endcap) -> None:
    address = endcap.environment["ENDCAP_URL"]
    headers = {"x-api-key": endcap.keys["admin"]}
    async with httpx.AsyncClient(base_url=address, headers=headers, timeout=PATIENCE) as http:
        definition = {"strategies": [{"strategy": "popular"}]}
        defined = await http.put("/v1/placements/gateway", json=definition)
        assert defined.status_code in {200, 201}, defined.text
        path = "/api/v1/placements/gateway"
        for _ in range(600):
            if (await http.get(path, params={"user_id": "u-1"})).status_code == 200:
                break
            await asyncio.sleep(0.1)
        async with http.stream("GET", f"{path}/stream", params={"user_id": "u-1"}) as stream:
            assert stream.headers["content-type"].startswith("text/event-stream")
            async with asyncio.timeout(PATIENCE):
                first = await anext(stream.aiter_lines())

    assert first.split(":")[0] in {"event", "data", "id", "retry", ""}


async def test_graphql_and_its_websocket(endcap: Endcap) -> None:
    address, key = endcap.environment["ENDCAP_URL"], endcap.keys["admin"]
    query = {"query": '{ getRecommendations(userId: "u-1") { items { itemId } } }'}
    async with httpx.AsyncClient(base_url=address, timeout=PATIENCE) as http:
        answer = await http.post("/graphql", json=query, headers={"x-api-key": key})
    header = base64.b64encode(json.dumps({"host": "x", "x-api-key": key}).encode()).decode()
    parameters = httpx.QueryParams(header=header, payload=base64.b64encode(b"{}").decode())
    realtime = f"{address.replace('http', 'ws', 1)}/graphql/realtime?{parameters}"
    async with connect(realtime, subprotocols=["graphql-ws"], open_timeout=PATIENCE) as websocket:  # type: ignore[list-item]
        await websocket.send('{"type": "connection_init"}')
        acknowledged = json.loads(await asyncio.wait_for(websocket.recv(), PATIENCE))

    assert "errors" not in answer.json()
    assert acknowledged["type"] == "connection_ack"


def test_the_log_has_a_line_for_each_request_and_no_secret(
    client: httpx.Client, aws: boto3.Session, bucket: str, endcap: Endcap
) -> None:
    mark = uuid.uuid4().hex
    signing = aws.client("s3", config=Config(signature_version="s3v4"))
    presigned = signing.generate_presigned_url("list_objects_v2", Params={"Bucket": bucket})
    httpx.get(presigned, headers={"x-request-id": mark}, timeout=PATIENCE)
    secret = f"secret-{mark}"
    client.get("/v1/runs", params={"limit": 5, "token": secret}, headers={"x-api-key": secret})
    client.get("/v1/runs", params={"limit": 7}, headers={"authorization": f"Bearer {secret}"})

    def lines() -> list[dict[str, Any]]:
        logged = [line for line in endcap.log("gateway").splitlines() if line.startswith("{")]
        return [json.loads(line) for line in logged]

    until(lambda: any(line["query"] == "limit=7" for line in lines()), "the requests are in the log")
    [signed] = [line for line in lines() if line["request_id"] == mark]
    assert (signed["status"], signed["service"], signed["aws"], signed["query"]) == (200, "s3", "s3", "***")
    log = endcap.log("gateway")
    for text in (secret, "X-Amz-Signature", "AWS4-HMAC", *endcap.keys.values()):
        assert text not in log or text in {"default", ""}
