"""The quotas that Amazon Personalize sells, asked of one machine: signed calls at a steady rate.

500 GetRecommendations a second is the quota of a campaign there, 1,000 PutEvents a second that of a dataset
group. What is put must come out: events sent, records on the topic and rows in the log are counted.
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
"""Of the dataset group, so of the tenant too."""
ROLE = "arn:aws:iam::000000000000:role/bench"
RECIPE = "arn:aws:personalize:::recipe/aws-user-personalization"


@dataclass(frozen=True)
class Size:
    """Rates in calls per second, and for how many seconds each is kept up."""

    recommendations_per_second: int
    recommendation_seconds: float
    puts_per_second: int
    put_seconds: float


FULL = Size(
    recommendations_per_second=500, recommendation_seconds=10.0, puts_per_second=1_000, put_seconds=60.0
)


def run() -> list[Figure]:
    """Measure a product of its own."""
    with product() as endcap:
        return measure(endcap, FULL)


def measure(endcap: Endcap, size: Size) -> list[Figure]:
    """Recommendations first, then events."""
    group, campaign = _campaign(endcap)
    figures = _recommendations(endcap, campaign, size)
    return [*figures, *_events(endcap, group, size)]


def _recommendations(endcap: Endcap, campaign: str, size: Size) -> list[Figure]:
    bodies = [{"campaignArn": campaign, "userId": f"u{user}", "numResults": 25} for user in range(USERS)]
    wire = [_signed(endcap, "PERSONALIZE_RUNTIME", "/recommendations", body) for body in bodies]
    rate, seconds = size.recommendations_per_second, size.recommendation_seconds
    _drive(endcap, "router", wire, rate, seconds / 5)
    seen = _drive(endcap, "router", wire, rate, seconds)
    _require_success(seen)
    name = f"GetRecommendations, {rate:,} a second, scored live: p99"
    reference = (
        f"median {seen['p50'] * 1e3:.1f} ms, worst {seen['worst'] * 1e3:.0f} ms; signed, by the router"
    )
    return [Figure(name, seen["p99"] * 1e3, "ms", reference, "< 50 ms")]


def _events(endcap: Endcap, group: str, size: Size) -> list[Figure]:
    tracking_id = _client(endcap, "personalize").create_event_tracker(name=NAME, datasetGroupArn=group)[
        "trackingId"
    ]
    calls = int(size.puts_per_second * size.put_seconds)
    now = int(time.time())
    bodies = (_put(tracking_id, number, now) for number in range(calls))
    wire = [_signed(endcap, "PERSONALIZE_EVENTS", "/events", body) for body in bodies]
    before, used = _on_topic(endcap), _cpu(endcap)
    seen = _drive(endcap, "tracker", wire, size.puts_per_second, size.put_seconds)
    _require_success(seen)
    sent = calls * EVENTS_OF_A_CALL
    arrived = _on_topic(endcap) - before
    began = time.monotonic()
    stored = _stored(endcap, sent)
    late = time.monotonic() - began
    if (arrived, stored) != (sent, sent):
        raise RuntimeError(f"{sent} events were sent, {arrived} are on the topic and {stored} in the log")
    micros = {name: (end - used[name]) / sent * 1e6 for name, end in _cpu(endcap).items() if name in used}
    reference = f"p99 {seen['p99'] * 1e3:.0f} ms; {sent:,} sent = on the topic = in the log"
    name = f"PutEvents, {size.puts_per_second:,} calls of {EVENTS_OF_A_CALL} a second"
    return [
        Figure(name, sent / seen["seconds"], "events/s", reference, "10,000, none lost"),
        Figure("… CPU of all processes", sum(micros.values()), "µs/event", _shares(micros)),
        Figure("… CPU of the sender", seen["cpu"] / sent * 1e6, "µs/event"),
        Figure("… until the last event is in the log", late, "s"),
    ]


def _cpu(endcap: Endcap) -> dict[str, float]:
    """What each process of the product has computed so far, in seconds."""
    return {process.name: tree_cpu_seconds(process.pid) for process in endcap.stack.processes()}


def _shares(micros: dict[str, float]) -> str:
    """The largest of them, in words."""
    largest = sorted(micros, key=lambda name: -micros[name])[:7]
    return ", ".join(f"{name} {micros[name]:.0f}" for name in largest)


def _put(tracking_id: str, number: int, now: int) -> dict[str, Any]:
    # Each time that a user comes again is a second of its own: the same view in the same second counts once.
    before, user = number // 5_000, f"u{number % 5_000}"
    events = [
        {"eventType": "View", "itemId": f"i{(number + place) % 60}", "sentAt": now - before}
        for place in range(EVENTS_OF_A_CALL)
    ]
    return {"trackingId": tracking_id, "userId": user, "sessionId": f"s-{user}", "eventList": events}


def _campaign(endcap: Endcap) -> tuple[str, str]:
    """A small dataset group with a campaign: (the group, the campaign)."""
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
    """A whole request as botocore signs it, in base64; it is good for a quarter of an hour."""
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
    seen: dict[str, Any] = orjson.loads(done.stdout)
    return seen


def _require_success(seen: dict[str, Any]) -> None:
    if set(seen["statuses"]) != {"200"}:
        raise RuntimeError(f"not every call was answered: {seen['statuses']}")


def _on_topic(endcap: Endcap) -> int:
    settings = settings_for(endcap.environment)
    return sum(asyncio.run(end_offsets(settings, INTERACTIONS)).values())


def _stored(endcap: Endcap, wanted: int) -> int:
    """How many of the events are in the log, once all are, or after a minute.

    Until then the log's own counts are asked, since counting its rows takes from who writes them.
    """
    until = time.monotonic() + 60
    while _asked(endcap, "sum(rows) FROM tracker.interaction_counts") < wanted and time.monotonic() < until:
        time.sleep(0.25)
    return _asked(endcap, "count(*) FROM tracker.interactions")


def _asked(endcap: Endcap, what: str) -> int:
    """A number about the benchmark's tenant."""

    async def ask() -> int:
        connection = await asyncpg.connect(endcap.environment["DATABASE_URL"])
        try:
            sql = f"SELECT {what} WHERE tenant = '{NAME}'"
            return int(await connection.fetchval(sql) or 0)
        finally:
            await connection.close()

    return asyncio.run(ask())
