"""PutEvents, called by an unmodified boto3."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore import UNSIGNED
from botocore.exceptions import ClientError

from shared.events import TrackerChanged
from shared.events.topics import TRACKERS
from shared.kafka import encoded
from shared.kafka.producer import Producer
from tests.component.tracker.conftest import Tracker
from tests.component.tracker.personalize import NOW, code_of, put
from tests.support.kafka import settings_for
from tests.support.processes import Process, process
from tests.support.waiting import PATIENCE, eventually


async def test_put_events_answers_empty_and_stores(tracker: Tracker, worker: Process, user: str) -> None:
    answer = put(tracker, user, {"itemId": "i", "eventValue": 4, "eventId": f"{user}-e"})

    assert answer["ResponseMetadata"]["HTTPStatusCode"] == 200
    assert len(answer["ResponseMetadata"]["RequestId"]) == 36
    assert set(answer) == {"ResponseMetadata"}
    (row,) = await tracker.until_stored(1, user_id=user)
    assert (row["event_id"], row["item_id"], row["value"]) == (f"{user}-e", "i", 4.0)
    assert (row["event_type"], row["sender_type"], row["source"]) == ("view", "View", "personalize")
    assert datetime.fromisoformat(row["occurred_at"]) == NOW


async def test_both_shapes_of_an_event_are_stored_the_same(
    tracker: Tracker, worker: Process, user: str
) -> None:
    cabin = {"cabinType": "Economy"}
    put(
        tracker,
        user,
        {"eventId": f"{user}-1", "itemId": "i", "eventValue": 4.5, "properties": json.dumps(cabin)},
        {"eventId": f"{user}-2", "properties": json.dumps({"itemId": "i", "eventValue": "4.5", **cabin})},
    )

    first, second = await tracker.until_stored(2, user_id=user)

    assert first.pop("event_id") != second.pop("event_id")
    assert first == second
    assert first["properties"] == cabin


async def test_an_event_before_login_is_stored_under_its_session(
    tracker: Tracker, worker: Process, user: str
) -> None:
    put(tracker, None, {}, sessionId=user)

    (row,) = await tracker.until_stored(1, session_id=user)
    assert row["user_id"] is None


@pytest.mark.parametrize(
    "request_",
    [
        {"eventList": [{"eventType": "View", "sentAt": NOW}] * 11},
        {"eventList": [{"eventType": "View", "sentAt": NOW, "impression": ["i"] * 26}]},
        {"eventList": [{"eventType": "View", "sentAt": NOW, "properties": json.dumps({"a": "x" * 1020})}]},
        {"eventList": [{"eventType": "View", "sentAt": NOW, "properties": "no json"}]},
        {"eventList": [{"eventType": "View", "sentAt": NOW, "properties": '{"a": 1, "USERID": "me"}'}]},
        {"eventList": [{"eventType": "View", "sentAt": NOW, "recommendationId": "r" * 41}]},
        {"eventList": [{"eventType": "View", "sentAt": NOW, "itemId": "nul\x00"}]},
        {"trackingId": "00000000-0000-0000-0000-000000000000"},
    ],
)
def test_what_boto3_does_not_check_is_invalid_input_and_not_repeated(
    tracker: Tracker, user: str, request_: dict[str, Any]
) -> None:
    with pytest.raises(ClientError) as refused:
        put(tracker, user, **request_)

    assert code_of(refused) == ("InvalidInputException", 400, 0)
    assert isinstance(refused.value, tracker.client().exceptions.InvalidInputException)


def test_a_frequent_caller_is_throttled_and_succeeds_by_repeating(
    tracker: Tracker, folder: Path, user: str
) -> None:
    limit = {**tracker.environment, "TRACKER_MAX_PUT_EVENTS_PER_SECOND": "4"}
    with process("tracker", "serve", limit, folder) as strict:
        throttled = Tracker(strict, tracker.tenant, tracker.other, limit, tracker.http)
        once = throttled.client(retries={"total_max_attempts": 1})
        event = {"eventType": "View", "sentAt": NOW}
        call = {"trackingId": tracker.tenant.tracking_id, "sessionId": user, "eventList": [event]}

        def hurry() -> None:
            for _ in range(50):
                once.put_events(**call)

        with pytest.raises(ClientError) as refused:
            hurry()
        patient = throttled.client(retries={"max_attempts": 4})
        attempts = [patient.put_events(**call)["ResponseMetadata"]["RetryAttempts"] for _ in range(8)]

    assert code_of(refused) == ("ThrottlingException", 400, 0)
    assert sum(attempts) > 0


def test_the_tracker_of_another_account_is_unknown(tracker: Tracker, user: str) -> None:
    with pytest.raises(ClientError) as refused:
        put(tracker, user, trackingId=tracker.other.tracking_id)

    assert code_of(refused)[:2] == ("InvalidInputException", 400)


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ("secret", "InvalidSignatureException"),
        ("id", "UnrecognizedClientException"),
        ("none", "MissingAuthenticationTokenException"),
    ],
)
def test_wrong_credentials_have_the_errors_of_aws(tracker: Tracker, change: str, code: str) -> None:
    options: dict[str, Any] = {}
    tenant = tracker.tenant
    match change:
        case "secret":
            options["secret"] = "wrong"
        case "id":
            tenant = type(tenant)(**{**tenant.__dict__, "access_key_id": "ENDCNOBODY"})
        case _:
            options["signature_version"] = UNSIGNED
    client = tracker.client(tenant, **options)

    with pytest.raises(ClientError) as refused:
        client.put_events(trackingId="t", sessionId="s", eventList=[{"eventType": "View", "sentAt": NOW}])

    assert code_of(refused) == (code, 403, 0)


async def test_a_new_tracker_is_known_at_once_and_a_deleted_one_no_more(
    tracker: Tracker, worker: Process, user: str
) -> None:
    settings = settings_for(tracker.environment)
    made = TrackerChanged(
        event_id=str(uuid.uuid4()),
        tenant=tracker.tenant.name,
        occurred_at=NOW,
        name=f"t-{user}",
        arn="arn:aws:personalize:eu-west-1:000000000000:event-tracker/0a1b2c3d",
        tracking_id=f"id-{user}",
        status="ACTIVE",
    )
    with pytest.raises(ClientError):
        put(tracker, user, trackingId=made.tracking_id)
    producer = Producer(settings, "test")
    record = encoded(made, "engine", "")

    await producer.deliver(TRACKERS.name, [record], PATIENCE)
    await eventually(lambda: _accepted(tracker, user, made.tracking_id), every=0.2)
    await producer.deliver(TRACKERS.name, [type(record)(record.key, None)], PATIENCE)
    await eventually(lambda: not _accepted(tracker, user, made.tracking_id), every=0.2)
    await producer.stop()


def _accepted(tracker: Tracker, user: str, tracking_id: str) -> bool:
    try:
        put(tracker, user, trackingId=tracking_id)
    except ClientError:
        return False
    return True


async def test_a_program_that_knows_only_environment_variables(
    tracker: Tracker, worker: Process, user: str
) -> None:
    program = (
        "import boto3, sys, time\n"
        "client = boto3.client('personalize-events')\n"
        "client.put_events(trackingId=sys.argv[1], userId=sys.argv[2], sessionId='s', eventList=["
        "{'eventType': 'Purchase', 'itemId': 'i', 'sentAt': time.time()}])\n"
    )
    variables = {
        "AWS_ENDPOINT_URL_PERSONALIZE_EVENTS": tracker.serve.url,
        "AWS_ACCESS_KEY_ID": tracker.tenant.access_key_id,
        "AWS_SECRET_ACCESS_KEY": tracker.tenant.secret_access_key,
        "AWS_DEFAULT_REGION": "us-east-1",
    }

    done = await asyncio.to_thread(
        subprocess.run,
        [sys.executable, "-c", program, tracker.tenant.tracking_id, user],
        env=variables,
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 0, done.stderr
    (row,) = await tracker.until_stored(1, user_id=user)
    assert row["event_type"] == "purchase"


@asynccontextmanager
async def losing_the_first_answer(url: str) -> AsyncIterator[tuple[str, list[bytes]]]:
    """A proxy before the tracker that closes the first connection when the answer is on its way back."""
    host, port = url.removeprefix("http://").split(":")
    answers: list[bytes] = []

    async def relay(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        to_reader, to_writer = await asyncio.open_connection(host, int(port))

        async def forward() -> None:
            while data := await reader.read(65_536):
                to_writer.write(data)

        forwarding = asyncio.create_task(forward())
        answers.append(await to_reader.read(65_536))
        if len(answers) > 1:
            writer.write(answers[-1])
            await writer.drain()
        forwarding.cancel()
        to_writer.close()
        writer.close()

    server = await asyncio.start_server(relay, "127.0.0.1", 0)
    async with server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", answers


async def test_an_attempt_whose_answer_was_lost_is_repeated_and_stored_once(
    tracker: Tracker, worker: Process, user: str
) -> None:
    async with losing_the_first_answer(tracker.serve.url) as (proxy, answers):
        client = boto3.client(
            "personalize-events",
            endpoint_url=proxy,
            region_name="eu-west-1",
            aws_access_key_id=tracker.tenant.access_key_id,
            aws_secret_access_key=tracker.tenant.secret_access_key,
        )
        # The second call is a queue's redelivery, with an invocation id of its own.
        for _ in range(2):
            await asyncio.to_thread(
                client.put_events,
                trackingId=tracker.tenant.tracking_id,
                userId=user,
                sessionId="s",
                eventList=[{"eventType": "View", "sentAt": NOW}, {"eventType": "Click", "sentAt": NOW}],
            )

    assert [answer.split(b"\r\n")[0] for answer in answers] == [b"HTTP/1.1 200 OK"] * 3
    put(tracker, user, {"eventType": "last", "sentAt": NOW})
    await eventually(lambda: any(r["event_type"] == "last" for r in tracker.stored(user_id=user)))
    assert sorted(row["event_type"] for row in tracker.stored(user_id=user)) == ["click", "last", "view"]
