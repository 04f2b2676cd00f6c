"""Objects of a real store: of a file with columns only what is read travels."""

from __future__ import annotations

import io
import os

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from services.engine.computations.attribution_report import Items, sum_values
from services.engine.computations.batch_lines import input_files
from services.engine.computations.dataset_import import csv_files
from services.engine.domain.locations import Access, Buckets, Grant, Location
from services.engine.store.buckets import TenantStore
from services.engine.store.objects import ObjectStorage
from shared.errors import Permanent
from tests.support.stack import ObjectStore

ROWS = 2_000


def test_the_price_of_an_item_is_read_without_its_description(s3: ObjectStore, bucket: str) -> None:
    client, travelled = s3.client(), list[int]()
    file = io.BytesIO()
    items = {
        "ITEM_ID": [f"i{number}" for number in range(ROWS)],
        "PRICE": [float(number) for number in range(ROWS)],
        "DESCRIPTION": [os.urandom(1_000).hex() for _ in range(ROWS)],
    }
    pq.write_table(pa.table(items), file)
    client.put_object(Bucket=bucket, Key="items.parquet", Body=file.getvalue())
    client.meta.events.register(
        "after-call.s3.GetObject", lambda parsed, **_: travelled.append(parsed["ContentLength"])
    )
    each = {"column": "PRICE", "items": {"i3": 2, "unknown": 1}, "value": 0.0}

    values = sum_values([each], Items(["items.parquet"], None), ObjectStorage(client, bucket))

    assert values == [6.0]
    assert 0 < sum(travelled) < len(file.getvalue()) / 10
    travelled.clear()
    assert sum_values(
        [each | {"items": {}}], Items(["items.parquet"], None), ObjectStorage(client, bucket)
    ) == [0]
    assert travelled == []


def test_an_object_that_is_not_there_is_said_so(s3: ObjectStore, bucket: str) -> None:
    with pytest.raises(Permanent, match=r"nothing\.parquet"):
        ObjectStorage(s3.client(), bucket).seekable(bucket, "nothing.parquet")


@pytest.fixture
def objects(s3: ObjectStore, bucket: str) -> ObjectStorage:
    """The store as a tenant reaches it who may use the folder `in/` of a bucket."""
    client = s3.client()
    for key in (
        "in/users_1.json",
        "in/users_2.json",
        "in/a.csv",
        "in/old/b.csv",
        "in-2/users.json",
        "in.csv",
    ):
        client.put_object(Bucket=bucket, Key=key, Body=b"x")
    access = Access("t", Buckets("endcap-data", "endcap-uploads"), (Grant(bucket, "in/"),))
    return ObjectStorage(client, "endcap-data", TenantStore(access))


@pytest.mark.parametrize(
    ("source", "keys"),
    [
        ("in/users", ["in/users_1.json", "in/users_2.json"]),
        ("in/users_1.json", ["in/users_1.json"]),
        # A prefix reaches no further than the tenant does.
        ("in", ["in/a.csv", "in/old/b.csv", "in/users_1.json", "in/users_2.json"]),
        ("in/", ["in/a.csv", "in/old/b.csv", "in/users_1.json", "in/users_2.json"]),
    ],
)
def test_the_input_of_a_batch_job_is_what_its_path_begins(
    objects: ObjectStorage, bucket: str, source: str, keys: list[str]
) -> None:
    inputs = input_files(objects, Location(bucket, source), Location(bucket, "in/out/"), "Invalid S3 path.")

    assert sorted(file.key for file, _ in inputs) == keys


def test_a_folder_of_csv_files_needs_no_slash(objects: ObjectStorage, bucket: str) -> None:
    for source in ("in", "in/"):
        (file,) = csv_files(objects, Location(bucket, source), recursive=False)
        assert file.key == "in/a.csv"
    for source in ("in.csv", "in-2", "in/nothing"):
        with pytest.raises(Permanent, match=f"There is no object whose address begins with s3://{bucket}/in"):
            csv_files(objects, Location(bucket, source), recursive=True)
