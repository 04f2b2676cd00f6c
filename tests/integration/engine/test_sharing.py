"""Schemas belong to an account: which of its tenants, and which strangers, may delete one."""

from __future__ import annotations

import json
from typing import Any

import pytest

from services.engine.personalize.dispatcher import OperationDispatcher
from shared.auth import Principal
from shared.aws import WireError
from shared.aws_server import Call
from tests.support.control_plane import caller, perform

SCHEMA = json.dumps(
    {
        "type": "record",
        "name": "Items",
        "namespace": "com.amazonaws.personalize.schema",
        "fields": [{"name": "ITEM_ID", "type": "string"}, {"name": "CATEGORY", "type": "string"}],
    }
)


def administrator(tenant: str) -> Call:
    """Somebody with an admin API key of a tenant."""
    return Call(Principal(tenant, None, frozenset({"admin"}), "key"), "request", None, "eu-west-1")


async def schema(dispatcher: OperationDispatcher, call: Call, name: str) -> str:
    """The ARN of a new schema."""
    return str((await perform(dispatcher, "CreateSchema", call, name=name, schema=SCHEMA)).schema_arn)


async def refused(dispatcher: OperationDispatcher, call: Call, arn: str) -> str:
    """The code with which a deletion is refused."""
    with pytest.raises(WireError) as error:
        await perform(dispatcher, "DeleteSchema", call, schemaArn=arn)
    return error.value.code


async def exists(dispatcher: OperationDispatcher, arn: str) -> Any:
    return await perform(dispatcher, "DescribeSchema", schemaArn=arn)


async def test_a_tenants_key_deletes_its_own_schemas_alone(dispatcher: OperationDispatcher) -> None:
    for name in ("shop", "mall"):
        await perform(dispatcher, "CreateDatasetGroup", name=name)
    shop, mall = administrator("shop"), administrator("mall")
    of_account = await schema(dispatcher, caller(), "of-account")
    of_mall = await schema(dispatcher, mall, "of-mall")

    for arn in (of_account, of_mall):
        assert await refused(dispatcher, shop, arn) == "ResourceInUseException"
        assert await exists(dispatcher, arn)
    await perform(dispatcher, "DeleteSchema", mall, schemaArn=of_mall)
    await perform(dispatcher, "DeleteSchema", caller(), schemaArn=of_account)


async def test_a_schema_that_another_tenant_uses_stays(dispatcher: OperationDispatcher) -> None:
    groups = {}
    for name in ("shop", "mall"):
        made = await perform(dispatcher, "CreateDatasetGroup", name=name)
        groups[name] = made.dataset_group_arn
    arn = await schema(dispatcher, administrator("shop"), "shared")
    # The same schema under the region of another client.
    spelled = arn.replace("eu-west-1", "us-east-1")
    await perform(
        dispatcher,
        "CreateDataset",
        administrator("mall"),
        name="items",
        schemaArn=spelled,
        datasetGroupArn=groups["mall"],
        datasetType="Items",
    )

    for call in (administrator("shop"), administrator("mall"), caller()):
        assert await refused(dispatcher, call, arn) == "ResourceInUseException"
    assert await exists(dispatcher, arn)


async def test_a_schema_of_another_account_is_not_there(dispatcher: OperationDispatcher) -> None:
    arn = await schema(dispatcher, caller(), "ours")

    assert await refused(dispatcher, caller("000000000001"), arn) == "ResourceNotFoundException"
    assert await exists(dispatcher, arn)
