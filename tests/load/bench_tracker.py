"""Events per second that the tracker confirms, beside a plain aiokafka producer sending the same bytes."""

from __future__ import annotations

import asyncio
import time
from concurrent.futures import ProcessPoolExecutor
from urllib.parse import urlsplit

import orjson
from aiokafka import AIOKafkaProducer

from shared.kafka.connection import client_options
from shared.settings import KafkaSettings
from tests.load.figures import Figure, cpu_seconds
from tests.load.product import product
from tests.support.kafka import settings_for
from tests.support.product import Endcap

SECONDS = 8.0
CONNECTIONS = 32


def run() -> list[Figure]:
    """Batches of 1 and of 100, and the reference."""
    with product() as endcap, ProcessPoolExecutor(1) as client:
        client.submit(_posts, endcap.urls["tracker"], endcap.keys["ingest"], 100, 2.0).result()
        plain = asyncio.run(_plain_producer(settings_for(endcap.environment)))
        return [
            _measured(endcap, client, 1, plain, ""),
            _measured(endcap, client, 100, plain, "≥ 20,000 events/s"),
        ]


def _measured(endcap: Endcap, client: ProcessPoolExecutor, batch: int, plain: float, budget: str) -> Figure:
    pid = endcap.pid("tracker")
    before = cpu_seconds(pid)
    events, seconds = client.submit(
        _posts, endcap.urls["tracker"], endcap.keys["ingest"], batch, SECONDS
    ).result()
    micros = (cpu_seconds(pid) - before) / events * 1e6
    return Figure(
        f"tracker, confirmed, batches of {batch}",
        events / seconds,
        "events/s",
        f"{micros:.0f} µs CPU per event; plain aiokafka producer {plain:,.0f} events/s",
        budget,
    )


def _posts(url: str, key: str, batch: int, seconds: float) -> tuple[int, float]:
    return asyncio.run(_connections(url, key, batch, seconds))


async def _connections(url: str, key: str, batch: int, seconds: float) -> tuple[int, float]:
    """Post for some time over several connections; (events acknowledged, seconds)."""
    address = urlsplit(url)
    body = orjson.dumps([_event(number) for number in range(batch)])
    request = (
        f"POST /v1/events HTTP/1.1\r\nhost: {address.netloc}\r\nx-api-key: {key}\r\n"
        f"content-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n"
    ).encode() + body
    began = time.monotonic()
    counts = await asyncio.gather(
        *(
            _connection(address.hostname or "", address.port or 0, request, seconds)
            for _ in range(CONNECTIONS)
        )
    )
    return sum(counts) * batch, time.monotonic() - began


async def _connection(host: str, port: int, request: bytes, seconds: float) -> int:
    reader, writer = await asyncio.open_connection(host, port)
    count, until = 0, time.monotonic() + seconds
    while time.monotonic() < until:
        writer.write(request)
        head = await reader.readuntil(b"\r\n\r\n")
        if not head.startswith(b"HTTP/1.1 200"):
            raise RuntimeError(head.decode())
        length = next(line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:"))
        await reader.readexactly(int(length.partition(b":")[2]))
        count += 1
    writer.close()
    return count


def _event(number: int) -> dict[str, object]:
    return {"user_id": f"user-{number}", "event_type": "view", "item_id": f"item-{number}", "price": 9.5}


async def _plain_producer(settings: KafkaSettings) -> float:
    """The same number of bytes to the same topic, as fast as aiokafka confirms them."""
    producer = AIOKafkaProducer(
        **client_options(settings, "bench"),
        acks="all",
        enable_idempotence=True,
        linger_ms=5,
        max_batch_size=2**17,
    )
    await producer.start()
    value, count = b"x" * 300, 0
    began = time.monotonic()
    while time.monotonic() - began < SECONDS / 2:
        futures = [
            await producer.send("puts-v1-sync-dlq", value, key=str(number).encode())
            for number in range(2_000)
        ]
        await asyncio.gather(*futures)
        count += len(futures)
    rate = count / (time.monotonic() - began)
    await producer.stop()
    return rate
