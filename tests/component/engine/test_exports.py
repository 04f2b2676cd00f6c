"""Exports with boto3: what was imported, and what was sent."""

from __future__ import annotations

import asyncio
import csv
import io
import json
from typing import Any

import asyncpg
import pytest

from tests.component.engine.conftest import ROLE, Engine
from tests.component.engine.groups import checked, dataset_group, imported
from tests.component.engine.shop import INTERACTIONS_SCHEMA, ITEMS_SCHEMA
from tests.support.processes import Process

WIDE = {
    **INTERACTIONS_SCHEMA,
    "fields": [
        *INTERACTIONS_SCHEMA["fields"],  # type: ignore[misc]
        {"name": "DEVICE", "type": ["null", "string"]},
        {"name": "EVENT_ATTRIBUTION_SOURCE", "type": ["null", "string"]},
    ],
}
INTERACTIONS = """USER_ID,ITEM_ID,TIMESTAMP,EVENT_TYPE,EVENT_VALUE,DEVICE,EVENT_ATTRIBUTION_SOURCE
ann,i1,1700000000,View,,phone,
bob,"i,2",1700000001,Purchase,2.5,"a ""big"" \\\\ one",mail
"""


@pytest.fixture(scope="module")
def shop(engine: Engine, worker: Process) -> dict[str, str]:
    """Two imports of items, of which the second changes one; two events that came by the tracker."""
    arns = dataset_group(engine, "exports", {"Interactions": WIDE, "Items": ITEMS_SCHEMA})
    imported(engine, arns["Interactions"], "exports-interactions", INTERACTIONS)
    imported(engine, arns["Items"], "exports-items", "ITEM_ID,CATEGORY,PRICE\na,tea,1\nb,cup,2\n")
    imported(engine, arns["Items"], "exports-more", "ITEM_ID,CATEGORY,PRICE\nb,cup,3\nc,,4\n", "INCREMENTAL")
    asyncio.run(_received(engine.database.url))
    return arns


async def _received(url: str) -> None:
    connection = await asyncpg.connect(url)
    try:
        await connection.execute(
            "INSERT INTO tracker.interactions (tenant, event_id, user_id, session_id, item_id, event_type, "
            "sender_type, value, properties, attribution_source, source, occurred_at, received_at, "
            "historical, fingerprint) VALUES "
            "('exports', '1', 'zoe', 's', 'i9', 'view', 'View', NULL, '{\"device\": \"tablet\"}', NULL, "
            "'personalize', to_timestamp(1700000100), now(), false, 0), "
            "('exports', '2', NULL, 't', 'i8', 'purchase', 'Purchase', 9, '{}', 'mail', "
            "'personalize', to_timestamp(1700000101), now(), false, 0), "
            "('exports', '3', 'web', NULL, 'i8', 'purchase', NULL, 9, '{}', NULL, "
            "'segment', to_timestamp(1700000101), now(), false, 0)"
        )
        await connection.execute(
            "INSERT INTO sync.items (tenant, item_id, category, price, created_at) "
            "VALUES ('exports', 'put', 'lamp', 40, to_timestamp(1700000000))"
        )
    finally:
        await connection.close()


def exported(engine: Engine, dataset: str, name: str, mode: str | None) -> dict[str, list[dict[str, str]]]:
    """File name → its rows."""
    personalize = engine.personalize
    more = {"ingestionMode": mode} if mode else {}
    arn = personalize.create_dataset_export_job(
        jobName=name,
        datasetArn=dataset,
        roleArn=ROLE,
        jobOutput={"s3DataDestination": {"path": f"s3://{engine.bucket}/{name}"}},
        **more,
    )["datasetExportJobArn"]
    ended = engine.finished(personalize.describe_dataset_export_job, datasetExportJobArn=arn)
    assert ended["status"] == "ACTIVE", ended
    listed = engine.s3.list_objects_v2(Bucket=engine.bucket, Prefix=f"{name}/")["Contents"]
    return {
        entry["Key"].removeprefix(f"{name}/"): list(
            csv.DictReader(io.StringIO(engine.get(entry["Key"]).decode(), newline=""))
        )
        for entry in listed
    }


def test_bulk_is_what_was_imported_and_the_newest_row_of_an_item(
    engine: Engine, shop: dict[str, str]
) -> None:
    interactions = exported(engine, shop["Interactions"], "bulk", "BULK")
    items = exported(engine, shop["Items"], "bulk-items", "BULK")

    assert list(interactions) == ["bulk-bulk-00000.csv"]
    ann, bob = interactions["bulk-bulk-00000.csv"]
    assert (ann["USER_ID"], ann["EVENT_VALUE"], ann["DEVICE"]) == ("ann", "", "phone")
    assert (bob["ITEM_ID"], bob["EVENT_VALUE"], bob["DEVICE"]) == ("i,2", "2.5", 'a "big" \\ one')
    rows = [row for name in sorted(items) for row in items[name]]
    assert [(row["ITEM_ID"], row["CATEGORY"], float(row["PRICE"])) for row in rows] == [
        ("a", "tea", 1), ("b", "cup", 3), ("c", "", 4),
    ]  # fmt: skip


def test_put_is_what_was_sent_in_the_schemas_columns_and_the_default(
    engine: Engine, shop: dict[str, str]
) -> None:
    [events] = exported(engine, shop["Interactions"], "put", None).values()
    [items] = exported(engine, shop["Items"], "put-items", "PUT").values()

    assert sorted(tuple(row.values()) for row in events) == [
        ("t", "i8", "1700000101", "Purchase", "9", "", "mail"),
        ("zoe", "i9", "1700000100", "View", "", "tablet", ""),
    ]
    assert [(row["ITEM_ID"], row["CATEGORY"], float(row["PRICE"])) for row in items] == [("put", "lamp", 40)]


def test_all_is_both_and_can_be_imported_again(engine: Engine, shop: dict[str, str]) -> None:
    files = exported(engine, shop["Interactions"], "all", "ALL")

    assert {name: len(rows) for name, rows in files.items()} == {"all-bulk-00000.csv": 2, "all-put.csv": 2}
    copy_of_group = dataset_group(engine, "exports-again", {"Interactions": WIDE})
    for name in files:
        location = f"all/{name}"
        imported(engine, copy_of_group["Interactions"], name.partition(".")[0], engine.get(location).decode())


def test_the_engines_own_folders_are_no_place_for_exports(engine: Engine, shop: dict[str, str]) -> None:
    personalize = engine.personalize

    with pytest.raises(personalize.exceptions.InvalidInputException, match="Invalid S3 output path"):
        personalize.create_dataset_export_job(
            jobName="nowhere",
            datasetArn=shop["Items"],
            roleArn=ROLE,
            jobOutput={"s3DataDestination": {"path": "s3://endcap-data/exports/models/"}},
        )


def test_the_answers_have_the_shape_that_botocore_expects(engine: Engine, shop: dict[str, str]) -> None:
    job: Any = checked(
        engine,
        "CreateDatasetExportJob",
        jobName="export-shapes",
        datasetArn=shop["Items"],
        roleArn=ROLE,
        jobOutput={"s3DataDestination": {"path": "s3://endcap-uploads/exports/shapes/"}},
    )
    described = checked(engine, "DescribeDatasetExportJob", **job)["datasetExportJob"]
    listed = checked(engine, "ListDatasetExportJobs", datasetArn=shop["Items"])

    assert described["ingestionMode"] == "PUT"
    assert json.dumps(job["datasetExportJobArn"]) in json.dumps(listed)
