"""The quotas of Amazon Personalize on one machine: signed calls at a constant rate.

The quota of a campaign is 500 GetRecommendations per second, that of a dataset group 1,000 PutEvents per
second. No event may be lost: events sent, records on the topic and rows in the log are counted.
"""

from __future__ import annotations

import asyncio
import base64
import json
import os
import subprocess
import sys
import time
import uuid
from dataclasses import dataclass
from typing import Any

import asyncpg
import boto3
import orjson
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from shared.events.topics import INTERACTIONS
from shared.kafka import end_offsets
from tests.component.engine.shop import INTERACTIONS_SCHEMA, USERS, interactions_csv
from tests.load.figures import Figure, tree_cpu_seconds
from tests.load.product import product
from tests.support.kafka import settings_for
from tests.support.product import Endcap

EVENTS_OF_A_CALL = 10
NAME = "bench-personalize"
"""The name of the dataset group, and so of the tenant."""
ROLE = "arn:aws:iam::000000000000:role/bench"
RECIPE = "arn:aws:personalize:::recipe/aws-user-personalization"


@dataclass(frozen=True)
class Size:
    """Rates in calls per second, and the duration of each."""

    recommendations_per_second: int
    recommendation_seconds: float
    puts_per_second: int
    put_seconds: float


FULL = Size(
    recommendations_per_second=500, recommendation_seconds=10.0, puts_per_second=1_000, put_seconds=60.0
)


def run() -> list[Figure]:
    """Measure in a product of its own."""
    with product() as endcap:
        return measure(endcap, FULL)


def measure(endcap: Endcap, size: Size) -> list[Figure]:
    """Measure recommendations, and then events."""
    group, campaign = _campaign(endcap)
    figures = _recommendations(endcap, campaign, size)
    return [*figures, *_events(endcap, group, size)]


def _recommendations(endcap: Endcap, campaign: str, size: Size) -> list[Figure]:
    bodies = [{"campaignArn": campaign, "userId": f"u{user}", "numResults": 25} for user in range(USERS)]
    wire = [_signed(endcap, "PERSONALIZE_RUNTIME", "/recommendations", body) for body in bodies]
    rate, seconds = size.recommendations_per_second, size.recommendation_seconds
    _drive(endcap, "router", wire, rate, seconds / 5)
    result = _drive(endcap, "router", wire, rate, seconds)
    _require_success(result)
    name = f"GetRecommendations, {rate:,} a second, scored live: p99"
    reference = (
        f"median {result['p50'] * 1e3:.1f} ms, worst {result['worst'] * 1e3:.0f} ms; signed, by the router"
    )
    return [Figure(name, result["p99"] * 1e3, "ms", reference, "< 50 ms")]


def _events(endcap: Endcap, group: str, size: Size) -> list[Figure]:
    tracking_id = _client(endcap, "personalize").create_event_tracker(name=NAME, datasetGroupArn=group)[
        "trackingId"
    ]
    calls = int(size.puts_per_second * size.put_seconds)
    now = int(time.time())
    bodies = (_put(tracking_id, number, now) for number in range(calls))
    wire = [_signed(endcap, "PERSONALIZE_EVENTS", "/events", body) for body in bodies]
    before, used = _on_topic(endcap), _cpu(endcap)
    result = _drive(endcap, "tracker", wire, size.puts_per_second, size.put_seconds)
    _require_success(result)
    sent = calls * EVENTS_OF_A_CALL
    arrived = _on_topic(endcap) - before
    began = time.monotonic()
    stored = _stored(endcap, sent)
    delay = time.monotonic() - began
    if (arrived, stored) != (sent, sent):
        raise RuntimeError(f"{sent} events were sent, {arrived} are on the topic and {stored} in the log")
    micros = {name: (end - used[name]) / sent * 1e6 for name, end in _cpu(endcap).items() if name in used}
    reference = f"p99 {result['p99'] * 1e3:.0f} ms; {sent:,} sent = on the topic = in the log"
    name = f"PutEvents, {size.puts_per_second:,} calls of {EVENTS_OF_A_CALL} a second"
    return [
        Figure(name, sent / result["seconds"], "events/s", reference, "10,000, none lost"),
        Figure("… CPU of all processes", sum(micros.values()), "µs/event", _shares(micros)),
        Figure("… CPU of the sender", result["cpu"] / sent * 1e6, "µs/event"),
        Figure("… until the last event is in the log", delay, "s"),
    ]


def _cpu(endcap: Endcap) -> dict[str, float]:
    """Return the CPU seconds of each process of the product so far."""
    return {process.name: tree_cpu_seconds(process.pid) for process in endcap.stack.processes()}


def _shares(micros: dict[str, float]) -> str:
    """Return the seven largest shares as text."""
    largest = sorted(micros, key=lambda name: -micros[name])[:7]
    return ", ".join(f"{name} {micros[name]:.0f}" for name in largest)


def _put(tracking_id: str, number: int, now: int) -> dict[str, Any]:
    # Repeated views of a user are in different seconds: equal events of the same second count once.
    before, user = number // 5_000, f"u{number % 5_000}"
    events = [
        {"eventType": "View", "itemId": f"i{(number + place) % 60}", "sentAt": now - before}
        for place in range(EVENTS_OF_A_CALL)
    ]
    return {"trackingId": tracking_id, "userId": user, "sessionId": f"s-{user}", "eventList": events}


def _campaign(endcap: Endcap) -> tuple[str, str]:
    """Create a small dataset group with a campaign; return the ARNs of both."""
    personalize, s3 = _client(endcap, "personalize"), _client(endcap, "s3")
    s3.create_bucket(Bucket=NAME)
    s3.put_object(Bucket=NAME, Key="a.csv", Body=interactions_csv().encode())
    group = personalize.create_dataset_group(name=NAME)["datasetGroupArn"]
    schema = personalize.create_schema(name=NAME, schema=json.dumps(INTERACTIONS_SCHEMA))["schemaArn"]
    dataset = personalize.create_dataset(
        name=NAME, schemaArn=schema, datasetGroupArn=group, datasetType="Interactions"
    )["datasetArn"]
    job = personalize.create_dataset_import_job(
        jobName=NAME, datasetArn=dataset, dataSource={"dataLocation": f"s3://{NAME}/a.csv"}, roleArn=ROLE
    )["datasetImportJobArn"]
    _until_active(personalize.describe_dataset_import_job, datasetImportJobArn=job)
    solution = personalize.create_solution(name=NAME, datasetGroupArn=group, recipeArn=RECIPE)["solutionArn"]
    version = personalize.create_solution_version(solutionArn=solution)["solutionVersionArn"]
    _until_active(personalize.describe_solution_version, solutionVersionArn=version)
    campaign = personalize.create_campaign(name=NAME, solutionVersionArn=version)["campaignArn"]
    _until_active(personalize.describe_campaign, campaignArn=campaign)
    return group, str(campaign)


def _until_active(describe: Any, **arn: str) -> None:
    until = time.monotonic() + 120
    while True:
        [described] = [value for name, value in describe(**arn).items() if name != "ResponseMetadata"]
        if described["status"] == "ACTIVE":
            return
        if described["status"] == "CREATE FAILED" or time.monotonic() > until:
            raise RuntimeError(str(described))
        time.sleep(0.2)


def _client(endcap: Endcap, service: str) -> Any:
    known = endcap.environment
    make: Any = boto3.client
    return make(
        service,
        endpoint_url=known[f"AWS_ENDPOINT_URL_{service.upper()}"],
        region_name=known["AWS_REGION"],
        aws_access_key_id=known["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=known["AWS_SECRET_ACCESS_KEY"],
    )


def _signed(endcap: Endcap, service: str, path: str, body: dict[str, Any]) -> str:
    """Return a request that botocore signed, in base64; the signature is valid for 15 minutes."""
    known = endcap.environment
    url = known[f"AWS_ENDPOINT_URL_{service}"] + path
    host = url.split("/")[2]
    content = orjson.dumps(body)
    headers = {
        "host": host,
        "content-type": "application/json",
        "content-length": str(len(content)),
        "amz-sdk-invocation-id": str(uuid.uuid4()),
    }
    request = AWSRequest("POST", url, headers, content)
    credentials = Credentials(known["AWS_ACCESS_KEY_ID"], known["AWS_SECRET_ACCESS_KEY"])
    SigV4Auth(credentials, "personalize", known["AWS_REGION"]).add_auth(request)
    lines = [f"{name}: {value}" for name, value in request.headers.items()]
    head = "\r\n".join([f"POST {path} HTTP/1.1", *lines, "", ""])
    return base64.b64encode(head.encode() + content).decode()


def _drive(endcap: Endcap, service: str, wire: list[str], rate: float, seconds: float) -> dict[str, Any]:
    job = orjson.dumps({"port": endcap.stack.ports[service], "wire": wire, "rate": rate, "seconds": seconds})
    done = subprocess.run(
        [sys.executable, "-m", "tests.load.paced_load"],
        input=job,
        stdout=subprocess.PIPE,
        env=dict(os.environ),
        timeout=300,
        check=True,
    )
    result: dict[str, Any] = orjson.loads(done.stdout)
    return result


def _require_success(result: dict[str, Any]) -> None:
    if set(result["statuses"]) != {"200"}:
        raise RuntimeError(f"not every call succeeded: {result['statuses']}")


def _on_topic(endcap: Endcap) -> int:
    settings = settings_for(endcap.environment)
    return sum(asyncio.run(end_offsets(settings, INTERACTIONS)).values())


def _stored(endcap: Endcap, expected: int) -> int:
    """Return the number of events in the log, once all have arrived or after a minute.

    Until then it polls the log's own counts, since counting its rows would slow down the writer.
    """
    until = time.monotonic() + 60
    while (
        _number(endcap, "sum(rows) FROM tracker.interaction_counts") < expected and time.monotonic() < until
    ):
        time.sleep(0.25)
    return _number(endcap, "count(*) FROM tracker.interactions")


def _number(endcap: Endcap, expression: str) -> int:
    """Return a number about the benchmark's tenant."""

    async def query() -> int:
        connection = await asyncpg.connect(endcap.environment["DATABASE_URL"])
        try:
            sql = f"SELECT {expression} WHERE tenant = '{NAME}'"
            return int(await connection.fetchval(sql) or 0)
        finally:
            await connection.close()

    return asyncio.run(query())
