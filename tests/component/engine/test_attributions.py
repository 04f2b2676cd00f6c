"""Metric attributions with boto3: what events add up to, each once, in files and as metrics."""

from __future__ import annotations

import asyncio
import csv
import io
import json
import time
import uuid
from typing import Any

import asyncpg
import httpx
import pytest

from services.engine.jobs.attribution_scheduler import AttributionScheduler
from shared.aws.personalize.recommendation_ids import RecommendationIds, signing_key
from shared.postgres import Database
from shared.settings import PostgresSettings
from tests.component.engine.conftest import ROLE, Engine
from tests.component.engine.groups import checked, dataset_group, imported
from tests.component.engine.shop import INTERACTIONS_SCHEMA, ITEMS_SCHEMA
from tests.support.deletions import until_deleted
from tests.support.processes import Process
from tests.support.waiting import PATIENCE, until

METRICS = [
    {"eventType": "Purchase", "metricName": "bought", "expression": "SAMPLECOUNT()"},
    {"eventType": "Purchase", "metricName": "worth", "expression": "SUM(Items.PRICE)"},
    {"eventType": "Purchase", "metricName": "paid", "expression": "SUM(Interactions.EVENT_VALUE)"},
]
ACCOUNT = "000000000000"
HOUR_AGO = int(time.time()) // 900 * 900 - 3600


@pytest.fixture(scope="module", autouse=True)
def purchases(engine: Engine, worker: Process) -> None:
    """Items that have prices, and purchases to count. The worker looks for them while other tests run."""
    arns = dataset_group(engine, "attributed", {"Interactions": INTERACTIONS_SCHEMA, "Items": ITEMS_SCHEMA})
    imported(engine, arns["Items"], "attributed-items", "ITEM_ID,CATEGORY,PRICE\na,tea,2\nb,cup,10\n")
    create(engine, arns["group"], METRICS, "counts")
    # As if it had been made two hours ago.
    back = "UPDATE engine.resources SET created_at = created_at - interval '2 hours' WHERE name = 'counts'"
    first = [purchase("a", HOUR_AGO + 1, 1.5, "mail"), purchase("b", HOUR_AGO + 2, None, "mail")]
    other_events = [purchase("a", HOUR_AGO + 900), purchase("a", HOUR_AGO - 7200)]
    asyncio.run(_change(engine.database.url, (back,), *first, *other_events))


def create(
    engine: Engine, group: str, metrics: list[dict[str, str]], name: str, folder: str = "attributed/"
) -> str:
    arn: str = engine.personalize.create_metric_attribution(
        name=name,
        datasetGroupArn=group,
        metrics=metrics,
        metricsOutputConfig={
            "roleArn": ROLE,
            "s3DataDestination": {"path": f"s3://{engine.bucket}/{folder}"},
        },
    )["metricAttributionArn"]
    return arn


async def _change(url: str, *statements: tuple[Any, ...]) -> None:
    connection = await asyncpg.connect(url)
    try:
        for text, *arguments in statements:
            await connection.execute(text, *arguments)
    finally:
        await connection.close()


def purchase(
    item: str, second: int, value: float | None = None, source: str | None = None
) -> tuple[Any, ...]:
    text = (
        "INSERT INTO tracker.interactions (tenant, event_id, user_id, item_id, event_type, value, source, "
        "attribution_source, occurred_at, received_at, historical, fingerprint) VALUES "
        "('attributed', $1, 'u', $2, 'purchase', $3, 'personalize', $4, to_timestamp($5), now(), false, 0)"
    )
    return text, uuid.uuid4().hex, item, value, source, second


def files(engine: Engine, count: int, folder: str = "attributed/") -> dict[str, list[dict[str, str]]]:
    """The files, once there are so many."""
    listed = until(
        lambda: engine.s3.list_objects_v2(Bucket=engine.bucket, Prefix=folder).get("Contents", []),
        f"{count} files in {folder}",
        enough=lambda reports: len(reports) >= count,
        every=0.2,
    )
    return {
        entry["Key"].rpartition("/")[2]: list(csv.DictReader(io.StringIO(engine.get(entry["Key"]).decode())))
        for entry in listed
    }


def totals(reports: dict[str, list[dict[str, str]]]) -> dict[tuple[str, str, str], float]:
    """What all the files say together, by metric, source and bucket."""
    sums: dict[tuple[str, str, str], float] = {}
    for rows in reports.values():
        for row in rows:
            key = row["METRIC_NAME"], row["EVENT_ATTRIBUTION_SOURCE"], row["TIMESTAMP"]
            sums[key] = sums.get(key, 0) + float(row["VALUE"])
    return sums


def test_an_import_publishes_what_its_rows_add_up_to(engine: Engine, worker: Process) -> None:
    columns = ("EVENT_ATTRIBUTION_SOURCE", "RECOMMENDATION_ID")
    more = [{"name": name, "type": ["null", "string"]} for name in columns]
    schema = {**INTERACTIONS_SCHEMA, "fields": [*INTERACTIONS_SCHEMA["fields"], *more]}
    arns = dataset_group(engine, "published", {"Interactions": schema, "Items": ITEMS_SCHEMA})
    imported(engine, arns["Items"], "published-items", "ITEM_ID,CATEGORY,PRICE\na,tea,2\nb,cup,10\n")
    create(engine, arns["group"], METRICS, "published", "published/")
    back = "UPDATE engine.resources SET created_at = created_at - interval '2 hours' WHERE name = 'published'"
    # A campaign that has answered once.
    asyncio.run(_change(engine.database.url, (back,), *made_campaign("published")))
    ids = RecommendationIds(signing_key("secret"))
    recommendation_id = ids.new("published", "home", 3, 1_790_000_000_000)
    rows = [
        f"u,a,{HOUR_AGO + 1},Purchase,1.5,mail,{recommendation_id}",
        f"u,b,{HOUR_AGO + 2},purchase,,,{recommendation_id}",
        f"u,b,{HOUR_AGO + 3},View,,mail,",
        f"u,b,{HOUR_AGO + 900},Purchase,4,,",
        f"u,b,{HOUR_AGO - 7200},Purchase,4,mail,",
    ]
    header = "USER_ID,ITEM_ID,TIMESTAMP,EVENT_TYPE,EVENT_VALUE,EVENT_ATTRIBUTION_SOURCE,RECOMMENDATION_ID"
    content = "\n".join([header, *rows]) + "\n"
    imported(engine, arns["Interactions"], "published", content, publishAttributionMetricsToS3=True)

    reports = files(engine, 1, "published/")

    home = f"arn:aws:personalize:eu-west-1:{ACCOUNT}:campaign/home"
    early, late = str(HOUR_AGO), str(HOUR_AGO + 900)
    assert totals(reports) == {
        ("bought", "mail", early): 1,
        ("worth", "mail", early): 2,
        ("paid", "mail", early): 1.5,
        ("bought", home, early): 1,
        ("worth", home, early): 10,
        ("bought", "SOURCE_NAME_UNDEFINED", late): 1,
        ("worth", "SOURCE_NAME_UNDEFINED", late): 10,
        ("paid", "SOURCE_NAME_UNDEFINED", late): 4,
    }
    [name] = reports
    assert name.startswith("AggregatedAttributionMetrics - BULK - ")


def made_campaign(tenant: str) -> list[tuple[Any, ...]]:
    """A campaign whose model is nowhere; that it is there is enough."""
    statement = (
        "INSERT INTO engine.resources (account, tenant, type, path, arn, name, status, document, facts) "
        "VALUES ($1, $2, 'campaign', 'campaign/home', $3, 'home', 'ACTIVE', $4::text::jsonb, $5::text::jsonb)"
    )
    prefix = f"arn:aws:personalize:eu-west-1:{ACCOUNT}"
    version = f"{prefix}:solution/home/00000000"
    model = {
        "recipe": "aws-user-personalization",
        "solution_version_arn": version,
        "model_uri": "s3://none/none",
        "model_sha256": "0" * 64,
    }
    return [
        (
            statement,
            ACCOUNT,
            tenant,
            f"{prefix}:campaign/home",
            json.dumps({"solutionVersionArn": version}),
            json.dumps(model),
        )
    ]


def test_metrics_are_checked_and_one_attribution_is_in_a_group(engine: Engine) -> None:
    personalize = engine.personalize
    arns = dataset_group(engine, "attribution-rules", {"Items": ITEMS_SCHEMA})
    wrong = personalize.exceptions.InvalidInputException
    cases = [
        ("AVG(Items.PRICE)", "there are SUM"),
        ("SUM(Items.CATEGORY)", "no column of numbers"),
        ("SUM(Interactions.AMOUNT)", "no column of numbers"),
    ]
    for expression, sentence in cases:
        metric = {"eventType": "Purchase", "metricName": "m", "expression": expression}
        with pytest.raises(wrong, match=sentence):
            create(engine, arns["group"], [metric], "rules")
    with pytest.raises(wrong, match="came twice: bought"):
        create(engine, arns["group"], [METRICS[0], METRICS[0]], "rules")
    arn = create(engine, arns["group"], METRICS[:1], "rules")
    with pytest.raises(personalize.exceptions.LimitExceededException, match="already"):
        create(engine, arns["group"], METRICS[:1], "more-rules")
    with pytest.raises(personalize.exceptions.ResourceAlreadyExistsException):
        personalize.update_metric_attribution(metricAttributionArn=arn, addMetrics=METRICS[:1])
    with pytest.raises(personalize.exceptions.ResourceNotFoundException):
        personalize.update_metric_attribution(metricAttributionArn=arn, removeMetrics=["nothing"])


def test_the_answers_have_the_shape_that_botocore_expects(engine: Engine) -> None:
    arns = dataset_group(engine, "attribution-shapes", {"Items": ITEMS_SCHEMA})
    made = checked(
        engine,
        "CreateMetricAttribution",
        name="attribution-shapes",
        datasetGroupArn=arns["group"],
        metrics=METRICS,
        metricsOutputConfig={"roleArn": ROLE},
    )
    checked(engine, "UpdateMetricAttribution", **made, removeMetrics=["paid"])
    described = checked(engine, "DescribeMetricAttribution", **made)["metricAttribution"]
    listed = checked(engine, "ListMetricAttributions", datasetGroupArn=arns["group"])["metricAttributions"]
    first = checked(engine, "ListMetricAttributionMetrics", **made, maxResults=1)
    token = first["nextToken"]
    second = checked(engine, "ListMetricAttributionMetrics", **made, maxResults=1, nextToken=token)
    checked(engine, "DeleteMetricAttribution", **made)
    deleting = until_deleted(engine.personalize.describe_metric_attribution, **made)

    assert described["status"] == "ACTIVE"
    assert [each["metricAttributionArn"] for each in listed] == [made["metricAttributionArn"]]
    assert [each["metricName"] for each in first["metrics"] + second["metrics"]] == ["bought", "worth"]
    assert "nextToken" not in second
    assert set(deleting) <= {"DELETE PENDING", "DELETE IN_PROGRESS"}


def test_events_add_up_by_source_and_late_ones_are_added_once(
    engine: Engine, worker: Process, purchases: None
) -> None:
    reports = files(engine, 2)

    early, late = str(HOUR_AGO), str(HOUR_AGO + 900)
    expected = {
        ("bought", "mail", early): 2,
        ("worth", "mail", early): 12,
        ("paid", "mail", early): 1.5,
        ("bought", "SOURCE_NAME_UNDEFINED", late): 1,
        ("worth", "SOURCE_NAME_UNDEFINED", late): 2,
    }
    assert totals(reports) == expected
    assert all(name.startswith("AggregatedAttributionMetrics - PutEvents - ") for name in reports)

    asyncio.run(_change(engine.database.url, purchase("b", HOUR_AGO + 3, 4.0, "mail")))
    # The first files prove that the worker looks again and again. Here another looks before its next time.
    asyncio.run(_enqueue_counts(engine.database.role_url("engine")))
    reports = files(engine, 3)

    more = {("bought", "mail", early): 3, ("worth", "mail", early): 22, ("paid", "mail", early): 5.5}
    assert totals(reports) == expected | more
    until(lambda: shown(worker, "worth", "mail"), "22 are shown", enough=lambda value: value == 22)


def shown(worker: Process, metric: str, source: str) -> float | None:
    """Return what the worker's metrics say; they say it once the job that wrote the file has ended."""
    line = (
        f'endcap_engine_attributed_total{{event_type="Purchase",metric="{metric}",source="{source}",'
        'tenant="attributed"} '
    )
    text = httpx.get(f"{worker.url}/metrics", timeout=PATIENCE).text
    reports = [each for each in text.splitlines() if each.startswith(line)]
    return float(reports[0].removeprefix(line)) if reports else None


async def _enqueue_counts(url: str) -> None:
    """Look for events once, as another worker does."""
    database = Database(PostgresSettings(database_url=url), "engine")
    await database.start()
    try:
        await AttributionScheduler(database, garbage_hours=1).enqueue_due()
    finally:
        await database.stop()
