"""PutItems, PutUsers and PutActions, called by an unmodified boto3."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import asyncpg
import pytest
from botocore.exceptions import ClientError

from shared.events.topics import PUTS
from tests.component.tracker.conftest import Tracker
from tests.component.tracker.personalize import code_of
from tests.support.kafka import raw_records, settings_for
from tests.support.stack import Database
from tests.support.tenants import Tenant


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


def test_actions_are_declined_with_a_message(tracker: Tracker) -> None:
    with pytest.raises(ClientError, match="PutActions is not supported"):
        tracker.client().put_actions(
            datasetArn=tracker.tenant.dataset_arn("ACTIONS"), actions=[{"actionId": "a"}]
        )
