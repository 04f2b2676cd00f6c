"""The gateway in front of the running product: paths, streams, limits, TLS, its log."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import io
import json
import ssl
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import boto3
import httpx
from botocore.config import Config
from prometheus_client.parser import text_string_to_metric_families
from websockets.asyncio.client import connect

from deploy.gateway.configuration import Installation, render
from deploy.gateway.metrics import NAMES
from deploy.gateway.settings import GatewaySettings
from deploy.local.ports import is_open
from tests.support.certificates import make_certificates
from tests.support.processes import free_port, start
from tests.support.product import Endcap
from tests.support.site import KIT
from tests.support.waiting import PATIENCE, until

MEBIBYTE = 2**20


def test_rest_and_pages(client: httpx.Client, endcap: Endcap) -> None:
    key = {"x-api-key": endcap.keys["read"]}
    popular = client.get("/api/v1/personalize/recommendations/u-1", headers={**key, "x-request-id": "mine-1"})
    runs = client.get("/v1/runs", headers=key, params={"limit": 1})
    page = client.get("/docs/tracker")
    script = client.get("/docs/page.js")

    assert popular.status_code == runs.status_code == page.status_code == script.status_code == 200
    assert popular.headers.get_list("x-request-id") == ["mine-1"]
    assert client.get("/dashboard/", follow_redirects=True).headers["content-type"].startswith("text/html")
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
    inside = ("/metrics", "/livez", "/readyz", "/-/s3", "/-/status")
    assert {client.get(path).status_code for path in inside} == {404}


def test_prometheus_reads_the_counters_on_a_port_of_their_own(client: httpx.Client, endcap: Endcap) -> None:
    address = f"http://127.0.0.1:{endcap.stack.ports['gateway-metrics']}"

    def requests() -> float:
        answer = httpx.get(f"{address}/metrics", timeout=PATIENCE)
        assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
        families = {family.name: family for family in text_string_to_metric_families(answer.text)}
        assert {f"{name}_total" if each.type == "counter" else name for name, each in families.items()} == {
            *NAMES
        }
        states = {sample.labels["state"] for sample in families["endcap_gateway_connections"].samples}
        assert states == {"reading", "writing", "waiting"}
        return float(families["endcap_gateway_requests"].samples[0].value)

    before = requests()
    for _ in range(3):
        client.get("/healthz")

    assert requests() >= before + 3
    assert httpx.get(f"{address}/-/status", timeout=PATIENCE).status_code == 404
    assert httpx.get(f"{address}/v1/status", timeout=PATIENCE).status_code == 404


def test_pages_of_any_site_load_the_kit_by_its_name_and_by_its_hash(client: httpx.Client) -> None:
    manifest = json.loads((KIT / "manifest.json").read_text())
    kinds = {
        "/kit.js": "public, max-age=300",
        f"/{manifest['script']}": "public, max-age=31536000, immutable",
    }
    for path, cached in kinds.items():
        answer = client.get(path, headers={"origin": "https://shop.example", "accept-encoding": "gzip"})
        again = client.get(path, headers={"if-none-match": answer.headers["etag"]})

        assert (answer.status_code, again.status_code) == (200, 304)
        assert answer.headers["cache-control"] == again.headers["cache-control"] == cached
        assert answer.headers["content-type"].startswith("text/javascript")
        assert answer.headers["content-encoding"] == "gzip"
        assert "accept-encoding" in answer.headers["vary"].lower()
        assert answer.headers["access-control-allow-origin"] == "*"
        assert answer.headers["cross-origin-resource-policy"] == "cross-origin"
        digest = base64.b64encode(hashlib.sha384(answer.content).digest()).decode()
        assert manifest["integrity"] == f"sha384-{digest}"
    assert client.get("/kit.0123456789abcdef.js").status_code == 404


@contextmanager
def gateway(endcap: Endcap, folder: Path, **settings: Any) -> Iterator[str]:
    """Run another nginx with settings of its own in front of the same services."""
    port = free_port()
    own = GatewaySettings(port=port, metrics_port=0, **settings)
    services = {name: f"127.0.0.1:{endcap.stack.ports[name]}" for name in ("engine", "recommender", "s3")}
    services["tracker"] = "127.0.0.1:1"  # nobody listens there
    nginx = str(endcap.stack.tools.program("nginx"))
    installation = Installation(services, folder, log=str(folder / "access.log"), version=(1, 22))
    (folder / "nginx.conf").write_text(render(installation, own))
    running = start([nginx, "-e", "stderr", "-p", str(folder), "-c", str(folder / "nginx.conf")])
    try:
        until(lambda: is_open(port), "nginx listens")
        yield f"{own.scheme}://127.0.0.1:{port}"
    finally:
        running.terminate()
        running.wait(PATIENCE)


def test_tls_for_http_and_aws(endcap: Endcap, aws: boto3.Session, bucket: str, tmp_path: Path) -> None:
    files = make_certificates(tmp_path / "tls")
    own = {"certificate": files.certificate, "certificate_key": files.key}
    with gateway(endcap, tmp_path, **own) as url:
        context = ssl.create_default_context(cafile=str(files.authority))
        answer = httpx.get(f"{url}/healthz", verify=context, timeout=PATIENCE)
        s3 = aws.client("s3", endpoint_url=url, verify=str(files.authority))
        # Over TLS, boto3 sends a body in chunks with a checksum behind it.
        s3.put_object(Bucket=bucket, Key="tls", Body=io.BytesIO(b"secure"))
        content = s3.get_object(Bucket=bucket, Key="tls")["Body"].read()
        plain = httpx.get(url.replace("https", "http"), timeout=PATIENCE)

    assert answer.json() == {"status": "ok"}
    assert content == b"secure"
    assert plain.status_code == 400


def test_too_many_requests_and_a_service_that_is_down(endcap: Endcap, tmp_path: Path) -> None:
    with (
        gateway(endcap, tmp_path, requests_per_second=1) as url,
        httpx.Client(base_url=url, timeout=PATIENCE) as http,
        ThreadPoolExecutor(8) as senders,
    ):

        def refusals() -> list[httpx.Response]:
            answers = list(senders.map(http.get, ["/v1/status"] * 32))
            return [answer for answer in answers if answer.status_code == 429]

        refused = until(refusals, "requests are refused")[0]
    with gateway(endcap, tmp_path) as url:
        down = httpx.post(f"{url}/v1/events", json={}, timeout=PATIENCE)

    assert refused.headers["retry-after"] == "1"
    assert refused.json()["__type"] == "ThrottlingException"
    assert down.status_code == 503
    assert down.headers["retry-after"] == "1"
    assert down.json()["error"] == "Unavailable"


def test_only_a_trusted_proxy_may_name_the_client(endcap: Endcap, tmp_path: Path) -> None:
    forwarded = {"x-forwarded-for": "198.51.100.7"}
    with gateway(endcap, tmp_path) as url:
        httpx.get(f"{url}/nothing", headers=forwarded, timeout=PATIENCE)
    with gateway(endcap, tmp_path, trusted_proxies=("127.0.0.0/8",)) as url:
        httpx.get(f"{url}/nothing", headers=forwarded, timeout=PATIENCE)

    lines = [json.loads(line) for line in (tmp_path / "access.log").read_text().splitlines()]
    assert [line["client"] for line in lines] == ["127.0.0.1", "198.51.100.7"]


def test_a_large_body_is_refused_where_no_upload_is_expected(client: httpx.Client, endcap: Endcap) -> None:
    key = {"x-api-key": endcap.keys["admin"]}
    refused = client.post("/v1/events", content=b" " * (3 * MEBIBYTE), headers=key)
    # A file without a column of items: its import fails, and the shop of the other tests stays as it is.
    file = b"name\n" + (b"x" * 1_000 + b"\n") * 3_000
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
