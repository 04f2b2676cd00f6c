"""Filters on the wire, announced to the recommender, and on batch jobs."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from typing import Any

import asyncpg
import pytest
from botocore.exceptions import ClientError

from shared.events import FilterChanged
from shared.events.topics import FILTERS
from shared.kafka import StateTable
from shared.settings import KafkaSettings
from tests.component.engine.conftest import ROLE, Engine
from tests.component.engine.groups import active_version, checked, dataset_group, imported
from tests.component.engine.shop import INTERACTIONS_SCHEMA, ITEMS_SCHEMA, interactions_csv, items_csv
from tests.support.deletions import until_deleted
from tests.support.processes import Process
from tests.support.stack import Database
from tests.support.waiting import eventually

USERS_SCHEMA = {
    "type": "record",
    "name": "Users",
    "fields": [
        {"name": "USER_ID", "type": "string"},
        {"name": "AGE", "type": ["null", "int"]},
        {"name": "MEMBER", "type": "boolean"},
    ],
    "version": "1.0",
}
SCHEMAS = {"Interactions": INTERACTIONS_SCHEMA, "Items": ITEMS_SCHEMA, "Users": USERS_SCHEMA}
BY_CATEGORY = "INCLUDE ItemID WHERE Items.CATEGORY IN ($CATEGORY)"
SHELF_0 = {f"i{item}" for item in range(0, 60, 4)}


@pytest.fixture(scope="module")
def group(engine: Engine) -> dict[str, str]:
    return dataset_group(engine, "filters", SCHEMAS)


def make(engine: Engine, group: dict[str, str], name: str, expression: str) -> str:
    arn: str = engine.personalize.create_filter(
        name=name, datasetGroupArn=group["group"], filterExpression=expression
    )["filterArn"]
    return arn


def refused(code: str, call: Callable[..., Any], **arguments: Any) -> str:
    with pytest.raises(ClientError) as caught:
        call(**arguments)
    assert caught.value.response["Error"]["Code"] == code
    return str(caught.value.response["Error"]["Message"])


def test_a_filter_is_made_described_listed_and_deleted(engine: Engine, group: dict[str, str]) -> None:
    personalize = engine.personalize
    arn = make(engine, group, "by-category", BY_CATEGORY)
    other_filters = {make(engine, group, f"other-{number}", BY_CATEGORY) for number in range(3)}
    assert arn.endswith(":filter/by-category")

    described = personalize.describe_filter(filterArn=arn)["filter"]
    pages = personalize.get_paginator("list_filters").paginate(
        datasetGroupArn=group["group"], PaginationConfig={"PageSize": 2}
    )
    listed = [each for page in pages for each in page["Filters"]]

    assert described["name"] == "by-category"
    assert described["filterExpression"] == BY_CATEGORY
    assert described["datasetGroupArn"] == group["group"]
    assert described["status"] == "ACTIVE"
    assert sorted(each["filterArn"] for each in listed) == sorted({arn, *other_filters})
    assert "filterExpression" not in listed[0]
    checked(engine, "DescribeFilter", filterArn=arn)
    checked(engine, "ListFilters", datasetGroupArn=group["group"])
    refused(
        "ResourceAlreadyExistsException",
        personalize.create_filter,
        name="by-category",
        datasetGroupArn=group["group"],
        filterExpression=BY_CATEGORY,
    )
    for each in {arn, *other_filters}:
        personalize.delete_filter(filterArn=each)
    until_deleted(personalize.describe_filter, filterArn=arn)
    refused("ResourceNotFoundException", personalize.delete_filter, filterArn=arn)


ITEMS, USER = "ItemID WHERE Items", "IF CurrentUser"
EXPRESSIONS = [
    f'INCLUDE {ITEMS}.CATEGORY IN ("shelf-1")',
    f'INCLUDE {ITEMS}.CATEGORY IN ("shelf-1", "shelf-2", "día|日本語")',
    f'EXCLUDE {ITEMS}.CATEGORY NOT IN ("shelf-1")',
    f"EXCLUDE {ITEMS}.CATEGORY IN ('shelf-1', 'it\\'s')",
    f'INCLUDE {ITEMS}.CATEGORY = "shelf-1"',
    f'EXCLUDE {ITEMS}.CATEGORY IN ($CATEGORIES, "shelf-3")',
    f"EXCLUDE {ITEMS}.CATEGORY = $CATEGORY",
    f'INCLUDE {ITEMS}.ITEM_ID IN ("i1", "i2")',
    f"EXCLUDE {ITEMS}.ITEM_ID IN ($IDS)",
    f"INCLUDE {ITEMS}.PRICE < 2",
    f"INCLUDE {ITEMS}.PRICE <= 2.5",
    f"EXCLUDE {ITEMS}.PRICE > -1",
    f"EXCLUDE {ITEMS}.PRICE >= 1e3",
    f"INCLUDE {ITEMS}.PRICE = .5",
    f"INCLUDE {ITEMS}.PRICE IN (1, 2.5, $PRICE)",
    f"INCLUDE {ITEMS}.PRICE >= $LOW AND Items.PRICE <= $HIGH",
    f'INCLUDE {ITEMS}.CATEGORY = "a" AND Items.PRICE > 1 OR Items.CATEGORY NOT IN ("b")',
    'EXCLUDE ItemID WHERE Interactions.EVENT_TYPE IN ("Purchase")',
    'EXCLUDE ItemID WHERE Interactions.event_type IN ("Purchase", "Click")',
    "EXCLUDE ItemID WHERE Interactions.EVENT_TYPE IN (*)",
    'EXCLUDE ItemID WHERE Interactions.EVENT_TYPE = "*"',
    'INCLUDE ItemID WHERE Interactions.EVENT_TYPE NOT IN ("View")',
    "EXCLUDE ItemID WHERE Interactions.EVENT_TYPE = $TYPE",
    f'EXCLUDE {ITEMS}.CATEGORY IN ("shelf-1") {USER}.AGE < 18',
    f'INCLUDE {ITEMS}.CATEGORY IN ("shelf-1") {USER}.AGE >= $AGE AND CurrentUser.AGE <= 99',
    f'INCLUDE {ITEMS}.CATEGORY IN ("a") | EXCLUDE {ITEMS}.PRICE > 9',
    (
        f'INCLUDE {ITEMS}.CATEGORY IN ("a")|INCLUDE {ITEMS}.PRICE < 9|'
        'EXCLUDE ItemID WHERE Interactions.EVENT_TYPE IN ("View")'
    ),
    'exclude itemid where items.category in ("a") if currentuser.age = 7',
    "INCLUDE UserID WHERE Users.AGE > 30",
    "exclude UserId where users.age in (30, 31) or users.age not in ($AGES)",
    f'\n INCLUDE\t{ITEMS} . CATEGORY IN("a")\n',
]


def test_the_whole_grammar_makes_filters(engine: Engine, group: dict[str, str]) -> None:
    """One for every rule, and every freedom that it leaves."""
    made = [
        make(engine, group, f"grammar-{number}", expression) for number, expression in enumerate(EXPRESSIONS)
    ]

    assert len(made) >= 28
    for arn, expression in zip(made, EXPRESSIONS, strict=True):
        described = engine.personalize.describe_filter(filterArn=arn)["filter"]
        assert (described["status"], described["filterExpression"]) == ("ACTIVE", expression)
        engine.personalize.delete_filter(filterArn=arn)


@pytest.mark.parametrize(
    ("expression", "said"),
    [
        ("INCLUDE ItemID WHERE CATEGORY IN ($C)", "line 1, column 31: expected a dot and a field, found IN"),
        ('INCLUDE ItemID WHERE Items.CATEGORY IN ("a"', "line 1, column 44: expected a comma or )"),
        ('INCLUDE ItemID\nWHERE Items.COLOUR = "red"', "line 2, column 7: Items.COLOUR is unknown"),
        ("INCLUDE ItemID WHERE Items.CATEGORY > 4", "CATEGORY holds texts"),
        (
            "EXCLUDE ItemID WHERE Interactions.EVENT_VALUE > 3",
            "of interactions it can use EVENT_TYPE and ITEM_ID",
        ),
        ('INCLUDE ItemID WHERE Items.PRICE = 4 IF CurrentUser.MEMBER = "true"', "boolean"),
        ("EXCLUDE ActionID WHERE Actions.A = 1", "ActionID"),
        (" ", "line 1, column 1: expected INCLUDE or EXCLUDE, found the end"),
        (f"INCLUDE ItemID WHERE Items.PRICE IN ({', '.join('1' * 1000)})", "filterExpression"),
    ],
)
def test_a_bad_expression_is_refused_with_the_place(
    engine: Engine, group: dict[str, str], expression: str, said: str
) -> None:
    message = refused(
        "InvalidInputException",
        engine.personalize.create_filter,
        name="bad",
        datasetGroupArn=group["group"],
        filterExpression=expression,
    )

    assert said in message
    refused(
        "ResourceNotFoundException",
        engine.personalize.describe_filter,
        filterArn=f"{group['group'].split(':dataset-group')[0]}:filter/bad",
    )


async def test_a_filter_is_announced_until_it_is_gone(
    engine: Engine,
    worker: Process,
    kafka_settings: KafkaSettings,
) -> None:
    # The worker relays; the group goes with its filters.
    schemas = {"Items": {**ITEMS_SCHEMA}}
    group = await asyncio.to_thread(dataset_group, engine, "announced", schemas)
    topic = StateTable[FilterChanged](kafka_settings, FILTERS)
    await topic.start()
    try:
        arns = [make(engine, group, name, BY_CATEGORY) for name in ("first", "second")]
        await eventually(lambda: {"announced:first", "announced:second"} <= topic.states.keys())

        announced = topic.states["announced:first"]
        assert (announced.arn, announced.status, announced.expression) == (arns[0], "ACTIVE", BY_CATEGORY)
        assert await seen_by_the_recommender(engine.database) == {"first", "second"}

        engine.personalize.delete_filter(filterArn=arns[0])
        await eventually(lambda: "announced:first" not in topic.states)
        assert "announced:second" in topic.states

        engine.personalize.delete_dataset(datasetArn=group["Items"])
        until_deleted(engine.personalize.describe_dataset, datasetArn=group["Items"])
        engine.personalize.delete_dataset_group(datasetGroupArn=group["group"])
        await eventually(lambda: "announced:second" not in topic.states)
        refused("ResourceNotFoundException", engine.personalize.describe_filter, filterArn=arns[1])
    finally:
        await topic.stop()


async def seen_by_the_recommender(database: Database) -> set[str]:
    """The names in the view that the recommender may read, as its role."""
    connection = await asyncpg.connect(database.url)
    try:
        await connection.execute("SET ROLE recommender")
        rows = await connection.fetch("SELECT name FROM engine.filters_v1 WHERE tenant = 'announced'")
        return {row["name"] for row in rows}
    finally:
        await connection.close()


@pytest.fixture(scope="module")
def version(engine: Engine, worker: Process, group: dict[str, str]) -> str:
    users = "\n".join(["USER_ID,AGE,MEMBER", *(f"u{number},{number},true" for number in range(120))])
    imported(engine, group["Interactions"], "filters-interactions", interactions_csv())
    imported(engine, group["Items"], "filters-items", items_csv())
    imported(engine, group["Users"], "filters-users", users)
    return active_version(engine, group["group"], "aws-user-personalization")


def batch(engine: Engine, version: str, name: str, chosen: str, *lines: Any) -> list[Any]:
    """For each line of a batch job with a filter the items, or the error."""
    personalize = engine.personalize
    source = engine.put(f"{name}/in.json", "".join(f"{json.dumps(line)}\n" for line in lines))
    job = personalize.create_batch_inference_job(
        jobName=name,
        solutionVersionArn=version,
        filterArn=chosen,
        numResults=20,
        jobInput={"s3DataSource": {"path": source}},
        jobOutput={"s3DataDestination": {"path": f"s3://{engine.bucket}/{name}/out/"}},
        roleArn=ROLE,
    )["batchInferenceJobArn"]
    described = checked(engine, "DescribeBatchInferenceJob", batchInferenceJobArn=job)["batchInferenceJob"]
    assert described["filterArn"] == chosen
    ended = engine.finished(personalize.describe_batch_inference_job, batchInferenceJobArn=job)
    assert ended["status"] == "ACTIVE", ended
    answers = [json.loads(line) for line in engine.get(f"{name}/out/in.json.out").splitlines()]
    assert [answer["input"] for answer in answers] == list(lines)
    return [answer["error"] or set(answer["output"]["recommendedItems"]) for answer in answers]


def test_a_batch_job_honours_its_filter_line_by_line(
    engine: Engine, group: dict[str, str], version: str
) -> None:
    chosen = make(engine, group, "batch-category", BY_CATEGORY)

    lines = batch(
        engine,
        version,
        "by-category",
        chosen,
        {"userId": "u1", "filterValues": {"CATEGORY": '"shelf-0"'}},
        {"userId": "u1"},
        {"userId": "u1", "filterValues": {"CATEGORY": '"shelf-0","shelf-1"'}},
        {"userId": "nobody", "filterValues": {"CATEGORY": '"shelf-0"'}},
        {"userId": "u2", "filterValues": {"COLOUR": '"red"'}},
    )

    assert lines[0] == lines[3] == SHELF_0
    assert "includes by the parameter CATEGORY" in lines[1]
    assert len(lines[2]) == 20
    assert lines[2] <= {f"i{item}" for item in range(60) if item % 4 < 2}
    assert "no parameter COLOUR" in lines[4]


def test_a_batch_job_knows_what_users_did_and_who_they_are(
    engine: Engine, group: dict[str, str], version: str
) -> None:
    rows = [line.split(",") for line in interactions_csv().splitlines()[1:]]
    bought = {row[1] for row in rows if row[0] == "u7" and row[3] == "Purchase"}
    assert bought
    chosen = make(
        engine,
        group,
        "batch-user",
        'INCLUDE ItemID WHERE Interactions.EVENT_TYPE IN ("purchase") IF CurrentUser.AGE < 50',
    )

    young, old = batch(engine, version, "by-user", chosen, {"userId": "u7"}, {"userId": "u70"})

    assert young == bought
    assert len(old) == 20


def test_a_filter_that_does_not_suit_a_batch_job_is_refused(
    engine: Engine, group: dict[str, str], version: str
) -> None:
    def message(chosen: str, code: str = "InvalidInputException") -> str:
        return refused(
            code,
            engine.personalize.create_batch_inference_job,
            jobName="unsuitable",
            solutionVersionArn=version,
            filterArn=chosen,
            jobInput={"s3DataSource": {"path": f"s3://{engine.bucket}/nothing.json"}},
            jobOutput={"s3DataDestination": {"path": f"s3://{engine.bucket}/out/"}},
            roleArn=ROLE,
        )

    users = make(engine, group, "of-users", "INCLUDE UserID WHERE Users.AGE > 3")
    elsewhere = make(
        engine,
        dataset_group(engine, "elsewhere", {"Items": ITEMS_SCHEMA}),
        "elsewhere",
        "EXCLUDE ItemID WHERE Items.PRICE > 3",
    )

    assert "selects users" in message(users)
    assert "another dataset group" in message(elsewhere)
    message(f"{elsewhere}-not", "ResourceNotFoundException")


def test_a_batch_job_knows_what_was_imported_since_the_training(
    engine: Engine, group: dict[str, str], version: str
) -> None:
    chosen = make(engine, group, "batch-later", 'INCLUDE ItemID WHERE Interactions.EVENT_TYPE = "purchase"')
    [before] = batch(engine, version, "before", chosen, {"userId": "u8"})
    new = next(item for item in sorted(SHELF_0) if item not in before)
    header = interactions_csv().partition("\n")[0]
    rows = f"{header}\nu8,{new},1800000000,Order Completed,\n"
    imported(engine, group["Interactions"], "filters-later", rows, mode="INCREMENTAL")

    [after] = batch(engine, version, "after", chosen, {"userId": "u8"})

    assert after == {*before, new}


def test_a_segment_holds_the_users_that_its_filter_includes(
    engine: Engine, group: dict[str, str], version: str
) -> None:
    personalize = engine.personalize
    segments = active_version(engine, group["group"], "aws-item-affinity")
    chosen = make(engine, group, "young", "INCLUDE UserID WHERE Users.AGE < $AGE")
    lines = [
        {"itemId": "i5", "filterValues": {"AGE": "30"}},
        {"itemId": "i5", "filterValues": {"YEARS": "30"}},
        {"itemId": "i5", "filterValues": {"AGE": "120"}},
    ]
    source = engine.put("young/in.json", "".join(f"{json.dumps(line)}\n" for line in lines))

    job = personalize.create_batch_segment_job(
        jobName="young",
        solutionVersionArn=segments,
        filterArn=chosen,
        numResults=200,
        jobInput={"s3DataSource": {"path": source}},
        jobOutput={"s3DataDestination": {"path": f"s3://{engine.bucket}/young/out/"}},
        roleArn=ROLE,
    )["batchSegmentJobArn"]

    ended = engine.finished(personalize.describe_batch_segment_job, batchSegmentJobArn=job)
    assert ended["status"] == "ACTIVE", ended
    assert ended["filterArn"] == chosen
    young, bad, everybody = (json.loads(line) for line in engine.get("young/out/in.json.out").splitlines())
    ages = {int(user[1:]) for user in young["output"]["usersList"]}
    assert ages
    assert max(ages) < 30
    assert "no parameter YEARS" in bad["error"]
    assert set(young["output"]["usersList"]) == {
        user for user in everybody["output"]["usersList"] if int(user[1:]) < 30
    }
