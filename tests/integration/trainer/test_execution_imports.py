"""Executions with a file: the real sync imports it, and the run waits for its rows."""

from __future__ import annotations

import asyncio
import json
import uuid
from collections.abc import AsyncIterator

import httpx
import pytest
import pytest_asyncio
from asgi_lifespan import LifespanManager
from pydantic import SecretStr

from services.sync import app as sync_app
from services.sync.settings import Settings as SyncSettings
from services.sync.store import Files
from services.trainer import app
from services.trainer.handlers import Handlers
from services.trainer.settings import Settings
from services.trainer.store import Erasures, Executions, ShopImports
from services.trainer.worker.import_wait import IMPORTS
from shared.errors import Permanent
from shared.events import TrainingRequested
from shared.postgres import Database as Pool
from shared.settings import AuthSettings, PostgresSettings, S3Settings
from tests.integration.sync.shop import Shop, a_job
from tests.integration.trainer.conftest import Trainer
from tests.integration.trainer.executions import MACHINE, Product
from tests.support.kafka import running
from tests.support.stack import Database, ObjectStore
from tests.support.tenants import SECRET_KEY, SERVICE_KEY, Tenant
from tests.support.waiting import eventually

ITEMS = b"ITEM_ID,NAME\ni1,Cup\n"
AUTH = AuthSettings(endcap_secret_key=SECRET_KEY, endcap_service_key=SERVICE_KEY)


@pytest_asyncio.fixture
async def product(
    database: Database, s3: ObjectStore, bucket: str, trainer: Trainer, tenant: Tenant
) -> AsyncIterator[Product]:
    sync = sync_app.build(
        SyncSettings(
            postgres=PostgresSettings(database_url=database.role_url("sync")),
            auth=AUTH,
            s3=S3Settings(
                aws_endpoint_url_s3=s3.endpoint,
                aws_region=s3.region,
                aws_access_key_id=s3.access_key_id,
                aws_secret_access_key=SecretStr(s3.secret_access_key),
                endcap_data_bucket="endcap-data",
                endcap_uploads_bucket=bucket,
            ),
        )
    )
    settings = Settings(postgres=PostgresSettings(database_url=database.role_url("trainer")), auth=AUTH)
    transport = httpx.ASGITransport(sync)
    service = app.build(settings, transport)
    pool = Pool(PostgresSettings(database_url=database.role_url("sync")), "sync")
    imports = ShopImports(settings, httpx.ASGITransport(sync))
    async with (
        running(pool),
        LifespanManager(sync),
        LifespanManager(service),
        httpx.AsyncClient(transport=httpx.ASGITransport(service), base_url="http://trainer") as http,
    ):
        await imports.start()
        shop = Shop(pool, Files(s3.client(), "endcap-data", bucket))
        executions = Executions(trainer.database, trainer.runs)
        yield Product(http, tenant.admin, trainer, shop, imports, executions)
        await imports.stop()


async def test_a_run_waits_for_the_file_of_its_execution_and_is_the_only_one(product: Product) -> None:
    arn = await product.start(await product.put("export.csv", ITEMS))
    (identity,) = await product.import_ids()
    (run,) = await product.runs()
    assert run["imports"] == [identity]
    _, context = await product.waiting_step(run["run"])

    wait = asyncio.create_task(product.wait(context))
    await product.shop.run(identity)
    report = await product.imports.state("default", identity)
    assert (report.status, wait.done()) == ("running", False)  # Kafka has not all of its events
    await product.requested()
    await wait

    assert context.detail[IMPORTS] == {identity: "done"}
    (only,) = await product.runs()
    assert only["reasons"] == [f"execution {arn.rpartition(':')[2]}", "import"]
    assert (await product.described(arn))["status"] == "RUNNING"


async def test_the_request_of_an_import_that_comes_after_the_wait_needs_no_second_run(
    product: Product,
) -> None:
    await product.start(await product.put("items.csv", ITEMS))
    (identity,), (run,) = await product.import_ids(), await product.runs()
    await product.shop.run(identity)
    payloads = await product.shop.published("training-requests-v1")
    await product.published()
    begun, context = await product.waiting_step(run["run"])
    await product.wait(context)
    await product.trainer.runs.end_step(run["run"], "wait", "done")
    await product.trainer.runs.complete(begun, None)

    handlers = Handlers(product.trainer.runs, Erasures(product.trainer.database))
    for payload in payloads * 2:
        await handlers.training_requested(TrainingRequested.model_validate(payload))

    (only,) = await product.runs()
    assert (only["status"], len(only["reasons"])) == ("completed", 1)


async def test_a_run_that_did_not_wait_for_an_import_does_not_answer_its_request(product: Product) -> None:
    stopped = await product.start(await product.put("items.csv", ITEMS), name="stopped")
    await product.call("StartExecution", stateMachineArn=MACHINE, name="other")
    (identity,), (run,) = await product.import_ids(), await product.runs()
    await product.call("StopExecution", executionArn=stopped)
    _, context = await product.waiting_step(run["run"])

    await product.wait(context)  # the other execution waits for no file
    await product.trainer.runs.end_step(run["run"], "wait", "done")
    await product.shop.run(identity)
    await product.requested()

    first, second = await product.runs()
    assert (first["status"], second["reasons"], second["imports"]) == ("running", ["import"], [identity])


async def test_an_import_that_fails_fails_its_execution_and_its_run(product: Product) -> None:
    arn = await product.start(await product.put("items.csv", b"no,such,columns\n1,2,3\n"))
    (identity,), (run,) = await product.import_ids(), await product.runs()
    await _fail(product, identity)
    _, context = await product.waiting_step(run["run"])

    with pytest.raises(Permanent, match="item_id") as failed:
        await product.wait(context)
    await product.trainer.runs.fail(run["run"], str(failed.value), "e1", context.started_at)

    described = await product.described(arn)
    assert (described["status"], described["error"]) == ("FAILED", "import")
    assert f"the import {identity} failed: items.csv: " in described["cause"]
    (ended,) = await product.runs()
    assert (ended["status"], ended["error"]) == ("failed", described["cause"])
    events = (await product.call("GetExecutionHistory", executionArn=arn)).json()["events"]
    assert [event["type"] for event in events] == [
        "ExecutionStarted",
        "TaskStateEntered",
        "TaskFailed",
        "ExecutionFailed",
    ]


async def test_the_run_of_a_failed_import_goes_on_for_others(product: Product) -> None:
    broken = await product.start(await product.put("items.csv", b"no,such,columns\n1,2,3\n"), name="broken")
    right = await product.start(await product.put("items-2.csv", ITEMS), name="right")
    (first, second), (run,) = await product.import_ids(), await product.runs()
    assert run["imports"] == [first, second]
    await _fail(product, first)
    await product.shop.run(second)
    await product.published()
    begun, context = await product.waiting_step(run["run"])

    await product.wait(context)
    await product.trainer.runs.end_step(run["run"], "wait", "done")
    await product.trainer.runs.complete(begun, None)

    assert context.detail[IMPORTS] == {first: "failed", second: "done"}
    assert [(await product.described(arn))["status"] for arn in (broken, right)] == ["FAILED", "SUCCEEDED"]


async def test_stopping_the_last_execution_cancels_a_run_whose_others_have_failed(product: Product) -> None:
    await product.start(await product.put("items.csv", b"no,such,columns\n1,2,3\n"), name="broken")
    plain = (await product.call("StartExecution", stateMachineArn=MACHINE, name="plain")).json()
    (identity,), (run,) = await product.import_ids(), await product.runs()
    await _fail(product, identity)
    _, context = await product.waiting_step(run["run"])
    await product.wait(context)

    await product.call("StopExecution", executionArn=plain["executionArn"])

    (cancelled,) = await product.runs()
    assert cancelled["status"] == "cancelled"


async def test_another_worker_continues_the_wait_of_a_killed_one(product: Product) -> None:
    await product.start(await product.put("items.csv", ITEMS), name="first")
    await product.start(await product.put("items-2.csv", ITEMS), name="second")
    (first, second), (run,) = await product.import_ids(), await product.runs()
    await product.shop.run(first)
    await product.published()
    _, context = await product.waiting_step(run["run"])
    killed = asyncio.create_task(product.wait(context))
    await eventually(lambda: _ended_imports(product, run["run"]))
    killed.cancel()

    _, taken_over = await product.waiting_step(run["run"])
    assert taken_over.detail[IMPORTS] == {first: "done"}
    await product.shop.run(second)
    await product.published()
    await product.wait(taken_over)

    assert taken_over.detail[IMPORTS] == {first: "done", second: "done"}


async def test_the_same_start_again_is_the_same_execution_and_import(product: Product) -> None:
    location = await product.put("items.csv", ITEMS)
    arns = [await product.start(location, name="mine") for _ in range(2)]
    await product.put("items.csv", ITEMS + b"i2,Mug\n")
    arns.append(await product.start(location, name="mine"))

    taken = await product.try_start(location, name="mine", kind="USERS")

    assert len(set(arns)) == len(await product.import_ids()) == len(await product.runs()) == 1
    assert taken.json()["__type"] == "ExecutionAlreadyExists"


@pytest.mark.parametrize(
    ("location", "sentence"),
    [
        ("s3://{bucket}/default/none.csv", "There is no object"),
        ("s3://{bucket}/other/items.csv", "below s3://{bucket}/default/"),
        ("s3://lake-of-others/items.csv", "buckets allow --tenant default"),
        ("s3://{bucket}/default/folder/", ".csv or .csv.gz"),
        ("items.csv", "s3://bucket/key"),
        (7, "dataLocation is not a text"),
    ],
)
async def test_what_can_not_be_imported_is_no_execution(
    product: Product, location: object, sentence: str
) -> None:
    bucket = product.shop.files.uploads_bucket
    named = location.format(bucket=bucket) if isinstance(location, str) else location

    refused = await product.try_start(named)

    assert (refused.status_code, refused.json()["__type"]) == (400, "InvalidExecutionInput")
    assert sentence.format(bucket=bucket) in refused.json()["message"]
    assert (await product.import_ids(), await product.runs()) == ([], [])


async def test_a_key_without_the_scope_catalogue_imports_nothing(product: Product) -> None:
    location = await product.put("items.csv", ITEMS)
    await product.trainer.administrator.execute(
        "UPDATE engine.keys SET scopes = '{read,admin}' WHERE 'admin' = ANY (scopes)"
    )

    refused = await product.try_start(location)

    assert refused.json()["__type"] == "AccessDeniedException"
    assert await product.import_ids() == []


async def test_while_sync_is_away_the_answer_is_one_that_sdks_repeat(
    http: httpx.AsyncClient, tenant: Tenant, trainer: Trainer
) -> None:
    """The trainer of this test has the address of a port where nobody listens."""
    headers = {"x-amz-target": "AWSStepFunctions.StartExecution", "x-api-key": tenant.admin}
    text = json.dumps({"dataLocation": f"s3://b/default/items-{uuid.uuid4()}.csv"})

    answer = await http.post("/", json={"stateMachineArn": MACHINE, "input": text}, headers=headers)

    assert (answer.status_code, answer.json()["__type"]) == (503, "ServiceUnavailable")
    assert answer.headers["retry-after"] == "1"
    assert await trainer.administrator.fetchval("SELECT count(*) FROM trainer.runs") == 0


async def _fail(product: Product, identity: str) -> None:
    """Run an import that fails, as its job does."""
    importer = product.shop.importer()
    with pytest.raises(Permanent) as failed:
        await importer.run(a_job(identity, product.shop.pool))
    await importer.failed(a_job(identity, product.shop.pool), str(failed.value))


async def _ended_imports(product: Product, run: int) -> dict[str, str] | None:
    state = (await product.trainer.runs.steps(run))["wait"]
    return state.detail.get(IMPORTS)
