"""The quotas of accounts and dataset groups."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from services.engine.personalize.dispatcher import OperationDispatcher
from services.engine.settings import Settings
from shared.aws import PageTokens, WireError
from shared.postgres import Database
from tests.support.control_plane import RECIPE, perform

SCHEMA = {
    "type": "record",
    "name": "Interactions",
    "namespace": "com.amazonaws.personalize.schema",
    "fields": [
        {"name": "USER_ID", "type": "string"},
        {"name": "ITEM_ID", "type": "string"},
        {"name": "TIMESTAMP", "type": "long"},
    ],
    "version": "1.0",
}
QUOTAS = Settings(max_dataset_groups=2, max_schemas=2, max_solutions=2, max_filters=2)


@pytest.fixture
def dispatcher(store: Database) -> OperationDispatcher:
    return OperationDispatcher(store, QUOTAS, PageTokens())


async def refusal(dispatcher: OperationDispatcher, operation: str, **members: Any) -> str:
    with pytest.raises(WireError) as caught:
        await perform(dispatcher, operation, **members)
    assert caught.value.code == "LimitExceededException"
    return caught.value.message


async def test_each_quota_is_kept_and_a_deletion_makes_room(dispatcher: OperationDispatcher) -> None:
    groups = [(await perform(dispatcher, "CreateDatasetGroup", name=name)).dataset_group_arn for name in "ab"]
    of_a = {"datasetGroupArn": groups[0]}
    requests = {
        "CreateSchema": {"schema": json.dumps(SCHEMA)},
        "CreateFilter": {"filterExpression": 'INCLUDE ItemID WHERE Items.ITEM_ID IN ("1")', **of_a},
        "CreateSolution": {"recipeArn": RECIPE, "performAutoTraining": False, **of_a},
    }

    message = await refusal(dispatcher, "CreateDatasetGroup", name="c")
    assert "An account may have 2 dataset groups" in message
    assert "ENGINE_MAX_DATASET_GROUPS" in message
    for operation, members in requests.items():
        for name in "ab":
            await perform(dispatcher, operation, name=name, **members)
        await refusal(dispatcher, operation, name="c", **members)

    # Another group has its own room; the account's schemas get room when one goes.
    filter_of_another_group = requests["CreateFilter"] | {"datasetGroupArn": groups[1]}
    await perform(dispatcher, "CreateFilter", name="c", **filter_of_another_group)
    listed = await perform(dispatcher, "ListSchemas")
    await perform(dispatcher, "DeleteSchema", schemaArn=listed.schemas[0].schema_arn)
    await perform(dispatcher, "CreateSchema", name="c", **requests["CreateSchema"])


async def test_calls_at_the_same_moment_do_not_pass_the_quota_together(
    dispatcher: OperationDispatcher,
) -> None:
    calls = [perform(dispatcher, "CreateSchema", name=f"s{n}", schema=json.dumps(SCHEMA)) for n in range(8)]

    outcomes = await asyncio.gather(*calls, return_exceptions=True)

    refused = [outcome for outcome in outcomes if isinstance(outcome, WireError)]
    assert [outcome.code for outcome in refused] == ["LimitExceededException"] * 6
    assert len((await perform(dispatcher, "ListSchemas")).schemas) == 2
