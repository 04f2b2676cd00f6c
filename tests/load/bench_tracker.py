"""Events per second that the tracker confirms, beside a plain aiokafka producer sending the same bytes."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from urllib.parse import urlsplit

import orjson
from aiokafka import AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, RecordsToDelete

from shared.kafka.connection import client_options
from shared.settings import KafkaSettings
from tests.load.figures import Figure, cpu_seconds
from tests.load.product import product
from tests.load.tracker_formats import FORMATS, MOST_EVENTS_OF_GA4
from tests.support.kafka import settings_for
from tests.support.product import Endcap


@dataclass(frozen=True)
class Size:
    """The duration of each part, and its connections."""

    seconds: float
    connections: int


SPARE_TOPIC = "puts-v1-sync-dlq"
"""The topic of the plain producer: no consumer reads it."""
FULL = Size(seconds=8.0, connections=64)


@dataclass(frozen=True)
class Sender:
    """The headers and the size of a load, and the process that sends it."""

    endcap: Endcap
    headers: Mapping[str, str]
    size: Size
    process: ProcessPoolExecutor

    def send(self, batch: int, seconds: float, name: str = "native") -> tuple[int, float]:
        """Post batches in a format for some seconds; return (events acknowledged, seconds).

        Raises RuntimeError if none was acknowledged. A 503 on a busy machine is not counted.
        """
        wire_format, connections = FORMATS[name], self.size.connections
        url = self.endcap.urls["tracker"] + wire_format.path
        body = orjson.dumps(wire_format.body(batch))
        sent = self.process.submit(_posts, url, dict(self.headers), body, seconds, connections)
        requests, seconds = sent.result()
        if not requests:
            raise RuntimeError(f"the tracker acknowledged no {name} batch of {batch}")
        return requests * (min(batch, MOST_EVENTS_OF_GA4) if name == "GA4" else batch), seconds


def run() -> list[Figure]:
    """Measure in a product of its own."""
    with product() as endcap:
        return measure(endcap, FULL, {"x-api-key": endcap.keys["ingest"]})


def measure(endcap: Endcap, size: Size, headers: Mapping[str, str]) -> list[Figure]:
    """Measure batches of 1, 100 and 500 beside a plain aiokafka producer, then batches of other formats.

    A request of another format is repeated with the same ids, as a client does: the log stores it once.
    """
    with ProcessPoolExecutor(1, get_context("spawn")) as process:
        sender = Sender(endcap, headers, size, process)
        sender.send(100, size.seconds / 4)
        plain = asyncio.run(_plain_producer(settings_for(endcap.environment), size.seconds / 2))
        return [
            _measured(sender, 1, plain, "≤ 150 µs"),
            _measured(sender, 100, plain, "≥ 20,000 events/s, ≤ 40 µs"),
            _measured(sender, 500, plain, "≥ 20,000 events/s, ≤ 40 µs"),
            *(_measured_format(sender, name, batch) for name in list(FORMATS)[1:] for batch in (1, 100)),
        ]


def _measured(sender: Sender, batch: int, plain: float, budget: str) -> Figure:
    pid = sender.endcap.pid("tracker")
    before = cpu_seconds(pid)
    events, seconds = sender.send(batch, sender.size.seconds)
    micros = (cpu_seconds(pid) - before) / events * 1e6
    return Figure(
        f"tracker, confirmed, batches of {batch}",
        events / seconds,
        "events/s",
        f"{micros:.0f} µs CPU per event; plain aiokafka producer {plain:,.0f} events/s, "
        f"ratio {events / seconds / plain:.2f}",
        budget,
    )


def _measured_format(sender: Sender, name: str, batch: int) -> Figure:
    pid = sender.endcap.pid("tracker")
    before = cpu_seconds(pid)
    events, _ = sender.send(batch, sender.size.seconds / 4, name)
    micros = (cpu_seconds(pid) - before) / events * 1e6
    limit = 150.0 if batch == 1 else 40.0
    name = f"tracker, {name}, batches of {batch}"
    return Figure(name, micros, "µs CPU per event", "", f"≤ {limit:g} µs", limit)


def _posts(
    url: str, headers: Mapping[str, str], body: bytes, seconds: float, connections: int
) -> tuple[int, float]:
    return asyncio.run(_connections(url, headers, body, seconds, connections))


async def _connections(
    url: str, headers: Mapping[str, str], body: bytes, seconds: float, connections: int
) -> tuple[int, float]:
    """Post for some seconds over several connections; return (requests acknowledged, seconds)."""
    address = urlsplit(url)
    lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    request = (
        f"POST {address.path} HTTP/1.1\r\nhost: {address.netloc}\r\n{lines}"
        f"content-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n"
    ).encode() + body
    began = time.monotonic()
    counts = await asyncio.gather(
        *(
            _connection(address.hostname or "", address.port or 0, request, seconds)
            for _ in range(connections)
        )
    )
    return sum(counts), time.monotonic() - began


async def _connection(host: str, port: int, request: bytes, seconds: float) -> int:
    reader, writer = await asyncio.open_connection(host, port)
    count, until = 0, time.monotonic() + seconds
    while time.monotonic() < until:
        writer.write(request)
        head = await reader.readuntil(b"\r\n\r\n")
        status = head.split(b" ", 2)[1]
        if status not in {b"200", b"204", b"503"}:
            raise RuntimeError(head.decode())
        lines = head.lower().split(b"\r\n")
        length = next((line for line in lines if line.startswith(b"content-length:")), b":0")
        await reader.readexactly(int(length.partition(b":")[2]))
        count += status != b"503"
    writer.close()
    return count


async def _plain_producer(settings: KafkaSettings, seconds: float) -> float:
    """Return the rate at which aiokafka confirms the same number of bytes, in events per second."""
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
    while time.monotonic() - began < seconds:
        futures = [
            await producer.send(SPARE_TOPIC, value, key=str(number).encode()) for number in range(2_000)
        ]
        await asyncio.gather(*futures)
        count += len(futures)
    rate = count / (time.monotonic() - began)
    partitions = await producer.partitions_for(SPARE_TOPIC)
    await producer.stop()
    await _empty(settings, [TopicPartition(SPARE_TOPIC, partition) for partition in partitions])
    return rate


async def _empty(settings: KafkaSettings, partitions: list[TopicPartition]) -> None:
    """Delete the records of partitions: exports of people's data look at dead letters."""
    admin = AIOKafkaAdminClient(**client_options(settings, "bench"))
    await admin.start()
    try:
        await admin.delete_records({place: RecordsToDelete(before_offset=-1) for place in partitions})
    finally:
        await admin.close()
