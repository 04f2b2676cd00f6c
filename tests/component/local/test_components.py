"""Kafka and the S3 server as the stack configures them."""

from __future__ import annotations

import asyncio
import json
import uuid

from aiokafka import AIOKafkaConsumer

from shared.kafka.connection import client_options
from tests.support.kafka import settings_for
from tests.support.stack import Components, ObjectStore
from tests.support.waiting import PATIENCE


async def test_an_uploaded_object_becomes_a_record(
    components: Components, s3: ObjectStore, bucket: str
) -> None:
    key = f"default/orders-{uuid.uuid4().hex}.csv"
    options = client_options(settings_for(components.stack.environment), "test")
    consumer = AIOKafkaConsumer("uploads-v1", **options, auto_offset_reset="earliest")
    await consumer.start()
    try:
        s3.client().put_object(Bucket=bucket, Key=key, Body=b"a,b\n")

        async with asyncio.timeout(PATIENCE):
            while True:
                record = json.loads((await consumer.getone()).value)
                # The server also says s3:TestEvent when it starts.
                for entry in record.get("Records") or []:
                    if entry["s3"]["object"]["key"] == key:
                        assert entry["s3"]["bucket"]["name"] == bucket
                        assert entry["eventName"] == "s3:ObjectCreated:Put"
                        return
    finally:
        await consumer.stop()


def test_metadata_of_an_object_is_kept(s3: ObjectStore, bucket: str) -> None:
    client = s3.client()

    client.put_object(Bucket=bucket, Key="a/b", Body=b"1", Metadata={"rows": "7"})

    assert client.head_object(Bucket=bucket, Key="a/b")["Metadata"] == {"rows": "7"}
