"""Athena and Glue: queries with their states, results and files, by operations as clients send them."""

from __future__ import annotations

import io
import uuid
from dataclasses import replace
from pathlib import Path

import asyncpg
import httpx
import pyarrow.parquet as pq
import pytest

from tests.integration.analytics.athena_client import Client
from tests.support.analysis_queries import POPULARITY, PURCHASES
from tests.support.processes import process
from tests.support.stack import Database as OwnDatabase
from tests.support.tenants import make_tenant


async def test_both_queries_of_the_aws_design_run_as_they_are(client: Client) -> None:
    first = await client.finished(PURCHASES, QueryExecutionContext={"Database": "ml_platform"})
    second = await client.finished(
        POPULARITY, ResultConfiguration={"OutputLocation": f"s3://{client.bucket}/out/"}
    )

    assert first["Status"]["State"] == second["Status"]["State"] == "SUCCEEDED", (first, second)
    assert await client.rows(first["QueryExecutionId"]) == [
        ["user_id", "interaction_count"],
        ["ann", "2"],
        ["bob", "1"],
    ]
    assert (await client.rows(second["QueryExecutionId"]))[1:] == [
        ["i1", "0", "2", "0", "2"],
        ["i2", "1", "1", "0", "1"],
    ]
    location = second["ResultConfiguration"]["OutputLocation"]
    assert location == f"s3://{client.bucket}/out/{second['QueryExecutionId']}.csv"
    key = location.partition(f"{client.bucket}/")[2]
    content = client.s3.get_object(Bucket=client.bucket, Key=key)["Body"].read().decode()
    assert content.splitlines()[:2] == [
        '"item_id","views","purchases","carts","unique_users"',
        '"i1","0","2","0","2"',
    ]


async def test_results_come_in_pages_and_a_token_means_one_execution(client: Client) -> None:
    token = uuid.uuid4().hex
    query = "SELECT user_id, item_id FROM interactions ORDER BY 1, 2, event_type"
    ids = {
        (await client.athena("StartQueryExecution", QueryString=query, ClientRequestToken=token))[
            "QueryExecutionId"
        ]
        for _ in range(2)
    }
    changed = await client.send(
        "AmazonAthena.StartQueryExecution", QueryString="SELECT 1", ClientRequestToken=token
    )
    (identifier,) = ids
    await client.ended(identifier)

    pages, more = [], {}
    while True:
        answer = await client.athena("GetQueryResults", QueryExecutionId=identifier, MaxResults=2, **more)
        pages.append(len(answer["ResultSet"]["Rows"]))
        if "NextToken" not in answer:
            break
        more = {"NextToken": answer["NextToken"]}

    assert changed.json()["__type"] == "InvalidRequestException"
    assert pages == [2, 2, 1]
    listed = await client.athena("ListQueryExecutions", MaxResults=1)
    assert listed["QueryExecutionIds"] == [identifier]


async def test_a_table_of_a_query_is_a_file_and_a_manifest(client: Client) -> None:
    name, place = f"temp_table_{uuid.uuid4().hex}", f"s3://{client.bucket}/ctas/one"
    execution = await client.finished(
        f"CREATE TABLE \"default\".\"{name}\" WITH (external_location = '{place}', format = 'PARQUET') AS "
        f"{PURCHASES.strip().rstrip(';')}"
    )

    assert execution["Status"]["State"] == "SUCCEEDED", execution
    manifest = execution["Statistics"]["DataManifestLocation"].partition(f"{client.bucket}/")[2]
    file = client.s3.get_object(Bucket=client.bucket, Key=manifest)["Body"].read().decode().strip()
    content = client.s3.get_object(Bucket=client.bucket, Key=file.partition(f"{client.bucket}/")[2])[
        "Body"
    ].read()
    assert pq.read_table(io.BytesIO(content)).to_pylist()[0] == {"user_id": "ann", "interaction_count": 2}
    table = (await client.send("AWSGlue.GetTable", DatabaseName="default", Name=name)).json()["Table"]
    assert [each["Type"] for each in table["StorageDescriptor"]["Columns"]] == ["string", "bigint"]
    assert (await client.send("AWSGlue.DeleteTable", DatabaseName="default", Name=name)).status_code == 200
    gone = await client.send("AWSGlue.GetTable", DatabaseName="default", Name=name)
    assert gone.json()["__type"] == "EntityNotFoundException"


async def test_the_catalogue_has_the_tables_of_sql(client: Client) -> None:
    shown = await client.finished("SHOW TABLES")
    tables = (await client.send("AWSGlue.GetTables", DatabaseName="endcap")).json()["TableList"]
    metadata = await client.athena(
        "GetTableMetadata", DatabaseName="endcap", TableName="orders", CatalogName="A"
    )

    names = [row[0] for row in await client.rows(shown["QueryExecutionId"])]
    assert names == [table["Name"] for table in tables]
    columns = {each["Name"]: each["Type"] for each in metadata["TableMetadata"]["Columns"]}
    assert columns["occurred_at"] == "timestamp"
    assert columns["lines"].startswith("array<struct<item_id:string,n:int")


@pytest.mark.parametrize(
    "attack",
    [
        "SELECT * FROM read_text('/etc/passwd')",
        'SELECT * FROM "s3://endcap-data/other/lake/interactions"',
        "SELECT 1; DROP TABLE items",
    ],
)
async def test_attacks_by_sql_are_refused(client: Client, attack: str) -> None:
    answer = await client.send("AmazonAthena.StartQueryExecution", QueryString=attack)

    assert (answer.status_code, answer.json()["AthenaErrorCode"]) == (400, "MALFORMED_QUERY")


async def test_another_tenants_query_and_a_file_that_must_not_be_written(
    client: Client, module_database: OwnDatabase
) -> None:
    execution = await client.finished(
        "SELECT 1", ResultConfiguration={"OutputLocation": "s3://no-such-bucket/x"}
    )
    stranger = await make_tenant(module_database, "stranger", "000000000078")
    headers = {"x-amz-target": "AmazonAthena.GetQueryExecution", "x-api-key": stranger.admin}
    body = {"QueryExecutionId": execution["QueryExecutionId"]}
    foreign = await client.http.post("/", json=body, headers=headers)

    assert execution["Status"]["State"] == "FAILED"
    assert "no-such-bucket" in execution["Status"]["StateChangeReason"]
    assert foreign.json()["message"].endswith("was not found")


async def test_an_api_key_reads_its_own_tenant_alone(client: Client, module_database: OwnDatabase) -> None:
    first = await make_tenant(module_database, "first", "000000000079")
    second = await make_tenant(module_database, "second", "000000000079")
    for tenant in (first, second):
        headers = {"x-amz-target": "AmazonAthena.ListDatabases", "x-api-key": tenant.admin}
        answer = await client.http.post("/", json={"CatalogName": "AwsDataCatalog"}, headers=headers)

        assert answer.json()["DatabaseList"] == [{"Name": "endcap"}]


_NUMBERS = "(SELECT 1 FROM interactions CROSS JOIN UNNEST(sequence(1, 10000)) AS t (x))"
ENDLESS = f"SELECT count(*) FROM {_NUMBERS} a CROSS JOIN {_NUMBERS} b CROSS JOIN {_NUMBERS} c"


async def test_a_query_is_cancelled_and_an_expression_fails(client: Client) -> None:
    started = await client.athena("StartQueryExecution", QueryString=ENDLESS)
    early = await client.send("AmazonAthena.GetQueryResults", QueryExecutionId=started["QueryExecutionId"])
    await client.athena("StopQueryExecution", QueryExecutionId=started["QueryExecutionId"])
    failed = await client.finished("SELECT 7 / 0")

    assert "has not yet finished" in early.json()["message"]
    assert (await client.ended(started["QueryExecutionId"]))["Status"]["State"] == "CANCELLED"
    assert failed["Status"]["State"] == "FAILED"
    assert failed["Status"]["AthenaError"]["ErrorCategory"] == 2


async def test_a_query_whose_process_is_killed_has_failed_for_every_other_process(
    client: Client, module_database: OwnDatabase, tmp_path: Path
) -> None:
    environment = {**client.environment, "ANALYTICS_SQL_SECONDS": "5"}
    with process("analytics", "serve", environment, tmp_path) as killed:
        async with httpx.AsyncClient(base_url=killed.url) as http:
            other = replace(client, http=http)
            started = [await other.athena("StartQueryExecution", QueryString=ENDLESS) for _ in range(3)]
        killed.kill()
    ids = [each["QueryExecutionId"] for each in started]

    async def states() -> set[str]:
        answer = await client.athena("BatchGetQueryExecution", QueryExecutionIds=ids)
        return {each["Status"]["State"] for each in answer["QueryExecutions"]}

    assert await states() <= {"QUEUED", "RUNNING"}
    administrator = await asyncpg.connect(module_database.url)
    later = "UPDATE analytics.query_executions SET alive_at = alive_at - interval '30 s' WHERE id = ANY($1)"
    await administrator.execute(later, ids)
    assert await states() == {"FAILED"}
    stored = "SELECT DISTINCT state FROM analytics.query_executions WHERE id = ANY($1)"
    assert await administrator.fetchval(stored, ids) == "FAILED"
    await administrator.close()
    ended = await client.ended(ids[0])
    assert "send it again" in ended["Status"]["StateChangeReason"]
    assert ended["Status"]["AthenaError"]["Retryable"]
