"""The event operations of Amazon Personalize, called by an unmodified boto3."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import asyncpg
import boto3
import pytest
from botocore import UNSIGNED
from botocore.exceptions import ClientError

from shared.events import TrackerChanged
from shared.events.topics import PUTS, TRACKERS
from shared.kafka import encoded
from shared.kafka.producer import Producer
from tests.component.tracker.conftest import Tracker
from tests.component.tracker.test_events import until_stored
from tests.support.kafka import raw_records, settings_for
from tests.support.processes import Process, process
from tests.support.stack import Database
from tests.support.tenants import Tenant
from tests.support.waiting import PATIENCE, eventually

NOW = datetime.now(UTC).replace(microsecond=0)


@pytest.fixture
def user() -> str:
    return f"user-{uuid.uuid4()}"


def put(tracker: Tracker, user: str | None, *events: dict[str, Any], **changes: Any) -> dict[str, Any]:
    request = {
        "trackingId": tracker.tenant.tracking_id,
        "sessionId": f"session-{user}",
        "eventList": [{"eventType": "View", "sentAt": NOW} | event for event in events or [{}]],
    } | ({"userId": user} if user else {})
    answer: dict[str, Any] = tracker.client().put_events(**request | changes)
    return answer


def code_of(error: pytest.ExceptionInfo[ClientError]) -> tuple[str, int, int]:
    meta = error.value.response["ResponseMetadata"]
    return error.value.response["Error"]["Code"], meta["HTTPStatusCode"], meta["RetryAttempts"]


async def test_put_events_answers_empty_and_stores(tracker: Tracker, worker: Process, user: str) -> None:
    answer = put(tracker, user, {"itemId": "i", "eventValue": 4, "eventId": f"{user}-e"})

    assert answer["ResponseMetadata"]["HTTPStatusCode"] == 200
    assert len(answer["ResponseMetadata"]["RequestId"]) == 36
    assert set(answer) == {"ResponseMetadata"}
    (row,) = await until_stored(tracker, 1, user_id=user)
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

    first, second = await until_stored(tracker, 2, user_id=user)

    assert first.pop("event_id") != second.pop("event_id")
    assert first == second
    assert first["properties"] == cabin


async def test_an_event_before_login_is_stored_under_its_session(
    tracker: Tracker, worker: Process, user: str
) -> None:
    put(tracker, None, {}, sessionId=user)

    (row,) = await until_stored(tracker, 1, session_id=user)
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


def test_who_calls_too_often_is_throttled_and_comes_through_by_repeating(
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


@pytest.fixture(scope="module", autouse=True)
def _datasets(tracker: Tracker, module_database: Database) -> None:
    """The datasets of the tenant, as the engine keeps them; the other tenant has no Items dataset."""
    fields: dict[str, dict[str, Any]] = {
        "ITEMS": {"ITEM_ID": "string", "GENRES": "string", "PRICE": "float", "IN_STOCK": "int"},
        "USERS": {"USER_ID": "string", "CITY": "string", "AGE": "int"},
    }
    for kind, columns in fields.items():
        described = [{"name": name, "type": type_} for name, type_ in columns.items()]
        asyncio.run(_make_dataset(module_database, tracker.tenant, kind, described))


async def test_put_items_and_put_users_become_puts(tracker: Tracker, user: str) -> None:
    client = tracker.client()
    client.put_items(
        datasetArn=tracker.tenant.dataset_arn("ITEMS"),
        items=[
            {
                "itemId": f"i-{user}",
                "properties": json.dumps({"genres": ["a", "b"], "price": "2.5", "inStock": 0}),
            }
        ],
    )
    # An ARN that was copied from AWS has another account and region in it.
    client.put_users(
        datasetArn=f"arn:aws:personalize:us-east-1:999999999999:dataset/{tracker.tenant.name}/USERS",
        users=[{"userId": user, "properties": json.dumps({"city": "Köln"})}],
    )

    records = await raw_records(settings_for(tracker.environment), PUTS.name)
    found = {record.key.decode(): json.loads(record.value) for record in records if user in str(record.key)}
    item = found[f"{tracker.tenant.name}:i-{user}"]
    assert (item["item_id"], item["fields"]) == (f"i-{user}", {"price": 2.5})
    assert item["columns"] == {"genres": "a|b", "inStock": 0}
    assert found[f"{tracker.tenant.name}:{user}"]["fields"] == {"city": "Köln"}


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/items", {"items": [{"itemId": "i", "properties": '{"price": 0.01}'}]}),
        ("/users", {"users": [{"userId": "u", "properties": '{"city": "Graz"}'}]}),
    ],
)
async def test_a_key_of_a_storefront_changes_no_item_and_no_user(
    tracker: Tracker, user: str, path: str, body: dict[str, Any]
) -> None:
    marked = json.loads(json.dumps(body).replace('"i"', f'"i-{user}"').replace('"u"', f'"{user}"'))
    marked["datasetArn"] = tracker.tenant.dataset_arn(path[1:].upper())

    public = tracker.post(path, marked)
    server = tracker.post(path, marked, x_api_key=tracker.tenant.catalogue)

    assert (public.status_code, public.json()["__type"]) == (403, "AccessDeniedException")
    assert "needs catalogue" in public.json()["message"]
    assert server.status_code == 200
    records = await raw_records(settings_for(tracker.environment), PUTS.name)
    assert len([record for record in records if user in str(record.key)]) == 1


async def test_what_a_datasets_schema_has_no_column_for_is_refused(
    tracker: Tracker, module_database: Database
) -> None:
    fields = [{"name": "USER_ID", "type": "string"}, {"name": "ORDER_COUNT", "type": "int"}]
    await _make_dataset(module_database, tracker.other, "USERS", fields)
    client = tracker.client(tracker.other)

    def put_user(**said: Any) -> None:
        users = [{"userId": "u", "properties": json.dumps(said)}]
        client.put_users(datasetArn=tracker.other.dataset_arn("USERS"), users=users)

    put_user(orderCount="3", city="Graz")
    for wrong, sentence in (
        ({"shoeSize": 43}, r"users\.0\.properties: 'shoeSize' is not a column"),
        ({"orderCount": "many"}, "the column ORDER_COUNT is of type int"),
    ):
        with pytest.raises(ClientError, match=sentence) as refused:
            put_user(**wrong)
        assert code_of(refused) == ("InvalidInputException", 400, 0)


async def _make_dataset(database: Database, tenant: Tenant, kind: str, fields: list[dict[str, Any]]) -> None:
    """A dataset and its schema, as the engine keeps them."""
    arn = f"arn:aws:personalize:eu-west-1:{tenant.account}"
    avro = json.dumps({"type": "record", "name": kind, "fields": fields})
    schema = json.dumps({"schema": avro})
    document = json.dumps({"datasetType": kind, "schemaArn": f"{arn}:schema/{kind}"})
    connection = await asyncpg.connect(database.url, server_settings={"search_path": "engine"})
    try:
        await connection.executemany(
            "INSERT INTO resources (account, tenant, type, path, arn, name, status, document) "
            "VALUES ($1, $2, $3, $4, $5, 'own', 'ACTIVE', $6)",
            [
                (tenant.account, None, "schema", f"schema/{kind}", f"{arn}:schema/{kind}", schema),
                (
                    tenant.account,
                    tenant.name,
                    "dataset",
                    f"dataset/{tenant.name}/{kind}",
                    tenant.dataset_arn(kind),
                    document,
                ),
            ],
        )
    finally:
        await connection.close()


@pytest.mark.parametrize(
    ("arn", "code", "status"),
    [
        ("arn:aws:personalize:eu-west-1:1:dataset/nobody/ITEMS", "ResourceNotFoundException", 404),
        ("arn:aws:personalize:eu-west-1:1:dataset/nobody/USERS", "InvalidInputException", 400),
        ("arn:aws:personalize:eu-west-1:1:campaign/nobody", "InvalidInputException", 400),
        ("nobody", "InvalidInputException", 400),
    ],
)
def test_a_dataset_that_is_not_there(tracker: Tracker, arn: str, code: str, status: int) -> None:
    with pytest.raises(ClientError) as refused:
        tracker.client().put_items(datasetArn=arn, items=[{"itemId": "i"}])

    assert code_of(refused) == (code, status, 0)


async def test_new_users_beyond_the_quota_are_refused_before_they_are_accepted(
    tracker: Tracker, user: str, module_database: Database
) -> None:
    connection = await asyncpg.connect(module_database.url, server_settings={"search_path": "sync"})
    await connection.execute("INSERT INTO catalogue_quotas VALUES ('users', 2)")
    await connection.execute(
        "INSERT INTO users (tenant, user_id) VALUES ($1, $2)", tracker.tenant.name, f"{user}-known"
    )

    def put_users(*names: str) -> None:
        tracker.client().put_users(
            datasetArn=tracker.tenant.dataset_arn("USERS"),
            users=[{"userId": f"{user}-{name}", "properties": '{"age": 30}'} for name in names],
        )

    try:
        put_users("known", "new")
        with pytest.raises(
            ClientError, match=r"2 of these users are new\. The dataset group has 1 users; its limit is 2"
        ) as refused:
            put_users("known", "new", "newer")
        assert code_of(refused) == ("InvalidInputException", 400, 0)
    finally:
        await connection.execute("DELETE FROM catalogue_quotas")
        await connection.close()


def test_a_dataset_that_the_group_lacks_is_not_there(tracker: Tracker) -> None:
    arn = tracker.other.dataset_arn("ITEMS")

    with pytest.raises(ClientError, match=f"There is no dataset with the ARN {arn}") as refused:
        tracker.client(tracker.other).put_items(datasetArn=arn, items=[{"itemId": "i"}])

    assert code_of(refused) == ("ResourceNotFoundException", 404, 0)


def test_the_dataset_of_another_account_is_not_there(tracker: Tracker) -> None:
    with pytest.raises(ClientError) as refused:
        tracker.client().put_items(datasetArn=tracker.other.dataset_arn("ITEMS"), items=[{"itemId": "i"}])

    assert code_of(refused)[0] == "ResourceNotFoundException"


def test_actions_are_declined_in_words(tracker: Tracker) -> None:
    with pytest.raises(ClientError, match="PutActions is not supported"):
        tracker.client().put_actions(
            datasetArn=tracker.tenant.dataset_arn("ACTIONS"), actions=[{"actionId": "a"}]
        )


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
    (row,) = await until_stored(tracker, 1, user_id=user)
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
