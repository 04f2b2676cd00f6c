"""The locations of the object store that jobs may use: grants of operators, and jobs that need none."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from pydantic import SecretStr

from services.engine.domain.locations import Grant
from services.engine.domain.resources import resource_path
from services.engine.domain.state import DatasetImportJob
from services.engine.personalize.dispatcher import OperationDispatcher
from services.engine.settings import Settings
from services.engine.store import buckets
from services.engine.store.buckets import Holder
from services.engine.store.keys import Keys
from services.engine.store.resources import Resources
from shared.auth import Principal
from shared.aws import Arn
from shared.aws_server import Call
from shared.errors import Permanent
from shared.postgres import Database
from shared.settings import AuthSettings
from tests.support.control_plane import ACCOUNT, STORE_KEY_ID, caller, perform
from tests.support.engine import call, run
from tests.support.processes import ROOT
from tests.support.stack import Database as MigratedDatabase
from tests.support.tenants import SECRET_KEY

SCHEMA = {
    "type": "record",
    "name": "Items",
    "namespace": "com.amazonaws.personalize.schema",
    "fields": [{"name": "ITEM_ID", "type": "string"}, {"name": "CATEGORY", "type": "string"}],
}
ROLE = "arn:aws:iam::000000000000:role/any"
UPLOADED = "s3://endcap-uploads/shop/items.csv"
OTHER_ACCOUNT = "000000000001"
SETTINGS = Settings(auth=AuthSettings(endcap_secret_key=SecretStr(SECRET_KEY)))


async def dataset(dispatcher: OperationDispatcher, name: str, call: Call) -> str:
    """The ARN of an Items dataset in a group of its own."""
    group = (await perform(dispatcher, "CreateDatasetGroup", call, name=name)).dataset_group_arn
    schema = (
        await perform(dispatcher, "CreateSchema", call, name=name, schema=json.dumps(SCHEMA))
    ).schema_arn
    made = await perform(
        dispatcher,
        "CreateDataset",
        call,
        name=name,
        schemaArn=schema,
        datasetGroupArn=group,
        datasetType="Items",
    )
    return str(made.dataset_arn)


async def import_(dispatcher: OperationDispatcher, call: Call, arn: str, uri: str, name: str) -> str:
    """The ARN of a new import job."""
    made = await perform(
        dispatcher,
        "CreateDatasetImportJob",
        call,
        jobName=name,
        datasetArn=arn,
        dataSource={"dataLocation": uri},
        roleArn=ROLE,
    )
    return str(made.dataset_import_job_arn)


async def import_job(store: Database, arn: str) -> DatasetImportJob:
    job = await Resources(store, ACCOUNT, None, "eu-west-1").get(resource_path(Arn.parse(arn)))
    assert job is not None
    return DatasetImportJob.of(job)


async def export(dispatcher: OperationDispatcher, call: Call, arn: str, uri: str, name: str) -> None:
    """A new export job."""
    await perform(
        dispatcher,
        "CreateDatasetExportJob",
        call,
        jobName=name,
        datasetArn=arn,
        roleArn=ROLE,
        jobOutput={"s3DataDestination": {"path": uri}},
    )


def administrator(tenant: str) -> Call:
    """Somebody with an admin API key of a tenant."""
    return Call(Principal(tenant, None, frozenset({"admin", "catalogue"}), "key"), "r", None, "eu-west-1")


@pytest.mark.parametrize(
    "call",
    [
        administrator("shop"),
        caller(credential="ENDCANOTHER"),
        caller(credential=""),
    ],
    ids=["admin-key", "another-key-pair", "unverified"],
)
async def test_a_bucket_is_for_those_who_were_allowed_it(
    dispatcher: OperationDispatcher, store: Database, call: Call
) -> None:
    arn = await dataset(dispatcher, "shop", caller())

    for uri in ("s3://lake/items.csv", "s3://endcap-uploads/other/items.csv", "s3://endcap-data/"):
        with pytest.raises(Exception, match=r"Invalid Data location\. .*(privileges|another tenant)"):
            await import_(dispatcher, call, arn, uri, "refused")
    await import_(dispatcher, call, arn, UPLOADED, "own")
    async with store.transaction() as connection:
        await buckets.allow(connection, Holder(ACCOUNT, "shop"), Grant("lake", "shop/", read_only=True))
    await import_(dispatcher, call, arn, "s3://lake/shop/items.csv", "allowed")
    for uri in (
        "s3://lake/shop-2/items.csv",
        "s3://lake/shop/../a.csv",
        "s3://lake/Shop/a.csv",
        "s3://lake/",
    ):
        with pytest.raises(Exception, match="Invalid Data location"):
            await import_(dispatcher, call, arn, uri, "refused")
    with pytest.raises(Exception, match=r"Invalid S3 output path\. Insufficient privileges"):
        await export(dispatcher, call, arn, "s3://lake/shop/out/", "refused")


async def test_a_key_pair_of_the_object_store_needs_no_grant(
    dispatcher: OperationDispatcher, store: Database
) -> None:
    arn = await dataset(dispatcher, "shop", caller())

    job = await import_(dispatcher, caller(), arn, "s3://anywhere/items.csv", "any")

    resource = await import_job(store, job)
    tenant_store = await buckets.store_of(store, SETTINGS, resource)
    assert tenant_store.access.any_bucket
    assert tenant_store.keys is not None
    assert (tenant_store.keys.access_key_id, tenant_store.keys.secret.get_secret_value()) == (
        STORE_KEY_ID,
        "secret of the store",
    )
    for uri in ("s3://endcap-data/other/a.csv", "s3://Endcap-data/shop/a.csv"):
        with pytest.raises(Permanent, match="another tenant"):
            await import_(dispatcher, caller(), arn, uri, "refused")
    await Keys(store).revoke(STORE_KEY_ID)
    ended = await buckets.store_of(store, SETTINGS, resource)
    assert (ended.access.any_bucket, ended.keys) == (False, None)


async def test_a_grant_of_an_account_holds_for_its_tenants_alone(
    dispatcher: OperationDispatcher, store: Database
) -> None:
    ours, theirs = caller(credential="ENDCONE"), caller(OTHER_ACCOUNT, credential="ENDCTWO")
    async with store.transaction() as connection:
        await buckets.allow(connection, Holder(OTHER_ACCOUNT), Grant("lake"))
    our_dataset = await dataset(dispatcher, "shop", ours)
    their_dataset = await dataset(dispatcher, "mall", theirs)

    await import_(dispatcher, theirs, their_dataset, "s3://lake/items.csv", "allowed")
    with pytest.raises(Permanent, match="Insufficient privileges"):
        await import_(dispatcher, ours, our_dataset, "s3://lake/items.csv", "refused")


async def test_a_grant_that_was_taken_back_ends_what_waits(
    dispatcher: OperationDispatcher, store: Database
) -> None:
    call = caller(credential="ENDCONE")
    arn = await dataset(dispatcher, "shop", call)
    holder, grant = Holder(ACCOUNT, "shop"), Grant("lake")
    async with store.transaction() as connection:
        await buckets.allow(connection, holder, grant)
    job = await import_(dispatcher, call, arn, "s3://lake/items.csv", "waiting")
    resource = await import_job(store, job)

    async with store.transaction() as connection:
        assert await buckets.remove(connection, holder, grant)
        assert not await buckets.remove(connection, holder, grant)

    access = (await buckets.store_of(store, SETTINGS, resource)).access
    assert (access.any_bucket, access.grants) == (False, ())


async def test_keys_of_a_tenant_come_before_those_of_its_account(
    dispatcher: OperationDispatcher, store: Database
) -> None:
    arn = await dataset(dispatcher, "shop", caller())
    job = await import_job(store, await import_(dispatcher, caller(credential="ENDCONE"), arn, UPLOADED, "i"))

    async def used() -> tuple[str, str] | None:
        keys = (await buckets.store_of(store, SETTINGS, job)).keys
        return (keys.access_key_id, keys.secret.get_secret_value()) if keys else None

    assert await used() is None
    async with store.transaction() as connection:
        for holder, identifier in ((Holder(ACCOUNT), "ALL"), (Holder(ACCOUNT, "shop"), "OWN")):
            keys = buckets.StoreKeys(identifier, SecretStr(f"secret of {identifier}"))
            await buckets.set_keys(connection, holder, keys, SETTINGS)
    assert await used() == ("OWN", "secret of OWN")
    row = await store.fetchrow("SELECT * FROM bucket_keys WHERE tenant = 'shop'")
    assert row is not None
    assert b"secret of OWN" not in row["secret_encrypted"]
    async with store.transaction() as connection:
        assert await buckets.drop_keys(connection, Holder(ACCOUNT, "shop"))
    assert await used() == ("ALL", "secret of ALL")


async def test_a_tenant_that_is_gone_leaves_no_grant(
    dispatcher: OperationDispatcher, store: Database
) -> None:
    call = caller()
    group = (await perform(dispatcher, "CreateDatasetGroup", call, name="shop")).dataset_group_arn
    async with store.transaction() as connection:
        await buckets.allow(connection, Holder(ACCOUNT, "shop"), Grant("lake"))

    await perform(dispatcher, "DeleteDatasetGroup", call, datasetGroupArn=group)

    async with store.transaction() as connection:
        assert await buckets.list_grants(connection) == []


async def test_metric_attributions_that_are_there_keep_their_place(
    dispatcher: OperationDispatcher, store: Database
) -> None:
    call = caller()
    group = (await perform(dispatcher, "CreateDatasetGroup", call, name="shop")).dataset_group_arn
    await perform(
        dispatcher,
        "CreateMetricAttribution",
        call,
        name="m",
        datasetGroupArn=group,
        metrics=[{"eventType": "view", "metricName": "views", "expression": "SAMPLECOUNT()"}],
        metricsOutputConfig={
            "roleArn": ROLE,
            "s3DataDestination": {"path": "s3://reports/shop/attribution"},
        },
    )
    migration = (ROOT / "services/engine/migrations/0013_pre_buckets.sql").read_text()

    await store.execute(migration[migration.index("INSERT INTO bucket_grants") :])

    async with store.transaction() as connection:
        [listed] = await buckets.list_grants(connection)
    assert (listed.holder, listed.grant) == (Holder(ACCOUNT, "shop"), Grant("reports", "shop/attribution/"))


def test_an_operator_allows_lists_and_takes_back(database: MigratedDatabase, tmp_path: Path) -> None:
    environment = {**database.environment, "ENDCAP_SECRET_KEY": SECRET_KEY}

    def command(*words: str, secret: str | None = None) -> tuple[int, str]:
        done = call("buckets", *words, environment=environment, stdin=secret or "")
        return done.returncode, done.stdout + done.stderr

    account = ("--account", ACCOUNT)
    assert "There is no account" in command("allow", *account, "s3://lake")[1]
    made = call("keys", "create", "aws", "--account", ACCOUNT, environment=environment)
    assert made.returncode == 0, made.stderr

    assert command("allow", *account, "s3://lake/in", "--read-only") == (
        0,
        f"account {ACCOUNT} may read s3://lake/in/\n",
    )
    assert command("keys", *account, "ENDCLAKE", secret="of the lake\n")[0] == 0
    listed = run("services.engine", "buckets", "list", environment=environment).stdout
    assert "s3://lake/in/" in listed
    assert "ENDCLAKE" in listed
    assert "of the lake" not in listed
    assert command("keys", *account, "ENDCLAKE") == (
        1,
        "buckets: The secret is read from standard input, which is empty.\n",
    )
    assert command("drop-keys", *account)[0] == 0
    assert command("remove", *account, "s3://lake/in/")[0] == 0
    assert command("remove", *account, "s3://lake/in/")[0] == 1
    for words, sentence in (
        (("allow", "--tenant", "nobody", "s3://lake"), "There is no tenant nobody"),
        (("allow", *account, "s3://endcap-data/x/"), "every tenant has a prefix of its own"),
        (("allow", *account, "lake"), "not of the form s3://bucket/key"),
    ):
        status, said = command(*words)
        assert status == 1
        assert sentence in said
