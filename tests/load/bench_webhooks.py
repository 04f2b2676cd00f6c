"""Webhooks per second that sync stores in its inbox: signed deliveries of different ids."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import itertools
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from urllib.parse import urlsplit

import httpx
import orjson

from tests.load.figures import Figure, cpu_seconds
from tests.load.product import product
from tests.support.product import Endcap

SECRET = "a secret of the benchmark"
CONFIG = {
    "kind": "webhook",
    "format": "generic",
    "signature": {"header": "X-Signature", "encoding": "hex"},
    "id_header": "X-Delivery",
    "mappings": [{"kind": "users", "fields": {"user_id": "$.customer.id", "city": "$.customer.city"}}],
}
BODY = orjson.dumps({"customer": {"id": "customer-1", "city": "Lahore"}, "note": "n" * 800})


@dataclass(frozen=True)
class Size:
    """The duration, and the connections."""

    seconds: float
    connections: int


FULL = Size(seconds=8.0, connections=16)


def run() -> list[Figure]:
    """Measure in a product of its own."""
    with product() as endcap:
        return measure(endcap, FULL, {"x-api-key": endcap.keys["admin"]})


def measure(endcap: Endcap, size: Size, headers: Mapping[str, str]) -> list[Figure]:
    """Send deliveries; the processor time is that of sync's HTTP process alone."""
    source = {"name": "bench", "config": CONFIG, "secrets": {"secret": SECRET}}
    answer = httpx.post(f"{endcap.urls['sync']}/v1/sources", json=source, headers=dict(headers))
    url = endcap.urls["sync"] + answer.raise_for_status().json()["path"]
    pid = endcap.pid("sync")
    before = cpu_seconds(pid)
    with ProcessPoolExecutor(1, get_context("spawn")) as process:
        stored, seconds = process.submit(_sent, url, size.seconds, size.connections).result()
    micros = (cpu_seconds(pid) - before) / stored * 1e6
    reference = f"{micros:.0f} µs CPU of sync for each of {stored:,}; signed, 1 KB, stored in Postgres"
    return [Figure("webhooks, stored", stored / seconds, "a second", reference)]


def _sent(url: str, seconds: float, connections: int) -> tuple[int, float]:
    return asyncio.run(_all(url, seconds, connections))


async def _all(url: str, seconds: float, connections: int) -> tuple[int, float]:
    """Send deliveries over several connections; return (deliveries stored, seconds)."""
    ids, began = itertools.count(), time.monotonic()
    counts = await asyncio.gather(*(_connection(url, ids, seconds) for _ in range(connections)))
    return sum(counts), time.monotonic() - began


async def _connection(url: str, ids: Iterator[int], seconds: float) -> int:
    address = urlsplit(url)
    reader, writer = await asyncio.open_connection(address.hostname, address.port)
    signature = hmac.new(SECRET.encode(), BODY, hashlib.sha256).hexdigest()
    head = (
        f"POST {address.path} HTTP/1.1\r\nhost: {address.netloc}\r\nx-signature: {signature}\r\n"
        f"content-type: application/json\r\ncontent-length: {len(BODY)}\r\nx-delivery: "
    ).encode()
    count, until = 0, time.monotonic() + seconds
    while time.monotonic() < until:
        writer.write(head + b"%d\r\n\r\n" % next(ids) + BODY)
        answer = await reader.readuntil(b"\r\n\r\n")
        status = answer.split(b" ", 2)[1]
        if status not in {b"200", b"503"}:
            raise RuntimeError(answer.decode())
        lines = answer.lower().split(b"\r\n")
        length = next((line for line in lines if line.startswith(b"content-length:")), b":0")
        await reader.readexactly(int(length.partition(b":")[2]))
        count += status == b"200"
    writer.close()
    return count
