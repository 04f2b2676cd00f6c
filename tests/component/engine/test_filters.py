"""Filters on the wire, announced to the recommender."""

from __future__ import annotations

import asyncio

import asyncpg
import pytest

from shared.events import FilterChanged
from shared.events.topics import FILTERS
from shared.kafka import StateTable
from shared.settings import KafkaSettings
from tests.component.engine.conftest import Engine
from tests.component.engine.filters import BY_CATEGORY, SCHEMAS, make
from tests.component.engine.groups import checked, dataset_group
from tests.component.engine.refusals import refused
from tests.component.engine.shop import ITEMS_SCHEMA
from tests.support.deletions import until_deleted
from tests.support.processes import Process
from tests.support.stack import Database
from tests.support.waiting import eventually


@pytest.fixture(scope="module")
def group(engine: Engine) -> dict[str, str]:
    return dataset_group(engine, "filters", SCHEMAS)


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
