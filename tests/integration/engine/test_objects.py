"""Objects of a real store: of a file with columns only what is read travels."""

from __future__ import annotations

import io
import os

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from services.engine.store.objects import Objects
from services.engine.worker.attribution import Items, valued
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

    values = valued([each], Items(["items.parquet"], None), Objects(client, bucket))

    assert values == [6.0]
    assert 0 < sum(travelled) < len(file.getvalue()) / 10
    travelled.clear()
    assert valued([each | {"items": {}}], Items(["items.parquet"], None), Objects(client, bucket)) == [0]
    assert travelled == []


def test_an_object_that_is_not_there_is_said_so(s3: ObjectStore, bucket: str) -> None:
    with pytest.raises(Permanent, match=r"nothing\.parquet"):
        Objects(s3.client(), bucket).seekable(bucket, "nothing.parquet")
