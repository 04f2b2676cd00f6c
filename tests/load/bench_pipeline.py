"""The steps of a training run with their memory, and the loader beside a bare COPY of the same rows."""

from __future__ import annotations

import asyncio
import hashlib
import random
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import asyncpg
import boto3
import httpx
import orjson

from deploy.local.load import load
from deploy.local.shop import write_shop
from shared.events import BatchCompleted
from shared.events.topics import BATCHES
from shared.kafka import Publisher
from tests.load.figures import Figure, PeakMemory
from tests.load.product import product, service_environment
from tests.support.kafka import settings_for
from tests.support.product import Endcap
from tests.support.shop import Shop
from tests.support.waiting import until

TENANT = "bench-loader"
"""The tenant of the generated generation; the sample shop has its own."""
GENERATION = 1_000_000
LIST = 25
BUDGET = "< 10 s for 180,000 lists"


@dataclass(frozen=True)
class Size:
    """The numbers of purchases that are measured and of lists that are loaded."""

    purchases: int
    users: int
    items: int


FULL = Size(purchases=100, users=180_000, items=4_200)


def run() -> list[Figure]:
    """Measure a run of the sample shop, and then loading a generation of 180,000 lists."""
    with product() as endcap:
        folder = write_shop(endcap.stack.root / "shop")
        workers = [endcap.pid(name) for name in ("trainer-worker", "engine-worker", "loader-worker")]
        with PeakMemory(*workers) as memory:
            load(endcap.stack, folder)
        with Shop(endcap, folder) as shop:
            return measure(shop, FULL, memory.mib)


def measure(shop: Shop, size: Size, mib: float) -> list[Figure]:
    """Measure in a product with a loaded shop; `mib` is the peak memory of loading it."""
    figures = [*_steps(shop, mib), _freshness(shop, size.purchases), *overlays(shop)]
    return figures + asyncio.run(_loader(shop.endcap, shop, size))


def _steps(shop: Shop, mib: float) -> list[Figure]:
    newest = shop.get("trainer", "/v1/runs")["runs"][0]
    latest = shop.get("trainer", f"/v1/runs/{newest['id']}")
    steps = [Figure(f"run, step {step['name']}", step["seconds"] or 0.0, "s") for step in latest["steps"]]
    rows = len(shop.rows("orders")) + len(shop.rows("interactions"))
    note = f"sample shop, {rows:,} interactions; trainer, engine and loader together"
    return [*steps, Figure("run, peak memory", mib, "MiB", note, "< 2 GiB")]


def _freshness(shop: Shop, purchases: int) -> Figure:
    """Measure the time from the 2xx of a purchase until the item is not in that user's list any more."""
    milliseconds = []
    for number in range(purchases):
        user = shop.buyer(number)
        first = shop.recommendations(user)["recommendations"][0]["product_id"]
        shop.send({"user_id": user, "event_type": "purchase", "item_id": first})
        began = time.perf_counter()
        while first in [item["product_id"] for item in shop.recommendations(user)["recommendations"]]:
            if time.perf_counter() - began > 30:
                raise RuntimeError(f"{first} is still recommended to {user} after 30 s")
        milliseconds.append((time.perf_counter() - began) * 1000)
    milliseconds.sort()
    middle, high = milliseconds[(purchases - 1) // 2], milliseconds[(99 * purchases - 1) // 100]
    return Figure(f"freshness, p50 of {purchases}", middle, "ms", f"p99 {high:.1f} ms", "p99 < 1 s")


def overlays(shop: Shop) -> list[Figure]:
    """Measure a VIP run and an incremental one after it, until they are served; each has a new customer."""
    return [_overlay(shop, kind) for kind in ("vip", "incremental")]


def _overlay(shop: Shop, kind: str) -> Figure:
    item = shop.rows("items")[0]["item_id"]
    shop.send({"user_id": f"new-{kind}", "event_type": "purchase", "item_id": item})
    time.sleep(2)  # until the event is stored
    began = time.perf_counter()
    number = shop.call("POST", "trainer", "/v1/runs", json={"kind": kind}).json()["run"]
    generation = until(
        lambda: shop.call("GET", "loader", f"/v1/generations/{number}").json(),
        f"the {kind} run is served",
        enough=lambda known: bool(known.get("active")),
    )
    seconds = time.perf_counter() - began
    run = shop.get("trainer", f"/v1/runs/{number}")
    counts = next(step["detail"] for step in run["steps"] if step["name"] == "snapshot")
    reasons = ", ".join(
        f"{counts[name]} {name.replace('_', ' ')}" for name in ("vip_users", "new_users", "new_items")
    )
    note = f"{reasons}; {generation['rows']} lists; the run alone {run['seconds']:.1f} s"
    return Figure(f"{kind} run until its lists are served", seconds, "s", note)


async def _loader(endcap: Endcap, shop: Shop, size: Size) -> list[Figure]:
    generator = random.Random(7)
    items = [f"item-{number}" for number in range(size.items)]
    lists = [generator.sample(items, LIST) for _ in range(2_000)]
    scores = [round(1 / (rank + 1), 7) for rank in range(LIST)]
    body = b"".join(
        orjson.dumps(
            {
                "input": {"userId": f"user-{user}"},
                "output": {"recommendedItems": lists[user % len(lists)], "scores": scores},
                "error": None,
            }
        )
        + b"\n"
        for user in range(size.users)
    )
    bare = await _bare_copy(endcap, lists, scores, size.users)
    with PeakMemory(endcap.pid("loader-worker")) as memory:
        seconds = await _load(endcap, shop, body, size.users)
    return [
        Figure(
            "loader, Postgres and Redis",
            size.users / seconds,
            "lists/s",
            f"bare COPY alone {size.users / bare:,.0f} lists/s ({bare:.1f} s)",
        ),
        Figure(f"loader, {size.users:,} lists", seconds, "s", f"peak memory {memory.mib:,.0f} MiB", BUDGET),
    ]


async def _bare_copy(endcap: Endcap, lists: list[list[str]], scores: list[float], users: int) -> float:
    connection = await asyncpg.connect(endcap.environment["DATABASE_URL"])
    try:
        await connection.execute("CREATE TABLE bare (id text PRIMARY KEY, items jsonb NOT NULL)")
        records = [
            (f"user-{user}", orjson.dumps(list(zip(lists[user % len(lists)], scores, strict=True))).decode())
            for user in range(users)
        ]
        began = time.monotonic()
        await connection.copy_records_to_table("bare", records=records)
        return time.monotonic() - began
    finally:
        await connection.execute("DROP TABLE IF EXISTS bare")
        await connection.close()


async def _load(endcap: Endcap, shop: Shop, body: bytes, rows: int) -> float:
    """Return the seconds from BatchCompleted to the activation, with the trainer's credentials."""
    trainer = service_environment(endcap.stack.environment, "trainer")
    folder = f"{TENANT}/runs/{GENERATION}"
    now = datetime.now(UTC)
    file = {
        "key": f"{folder}/user-personalization.out",
        "rows": rows,
        "bytes": len(body),
        "sha256": hashlib.sha256(body).hexdigest(),
    }
    recipe = {
        "job_name": "bench",
        "job_arn": "arn:aws:personalize:us-east-1:000000000000:batch-inference-job/bench",
        "engine_recipe": "aws-user-personalization",
        "files": [file],
    }
    manifest = {
        "version": 1,
        "tenant": TENANT,
        "run": GENERATION,
        "started_at": now.isoformat(),
        "completed_at": now.isoformat(),
        "recipes": {"user-personalization": recipe},
    }
    s3 = _object_store(trainer)
    s3.put_object(Bucket="endcap-data", Key=file["key"], Body=body)
    s3.put_object(Bucket="endcap-data", Key=f"{folder}/_manifest.json", Body=orjson.dumps(manifest))
    event = BatchCompleted(
        event_id=f"bench-{GENERATION}",
        tenant=TENANT,
        occurred_at=now,
        run=GENERATION,
        bucket="endcap-data",
        manifest=f"{folder}/_manifest.json",
        recipes=("user-personalization",),
        started_at=now,
    )
    publisher = Publisher(settings_for(trainer), "trainer", [BATCHES])
    await publisher.start()
    began = time.monotonic()
    await publisher.publish(BATCHES, [event], within=10)
    await publisher.stop()

    def ended_generation() -> Any:
        answer = _call(shop, "GET", f"/v1/generations/{GENERATION}")
        known = answer.json() if answer.status_code == 200 else {"status": "unknown"}
        return known if known["status"] in {"loaded", "refused", "failed"} else None

    generation = until(ended_generation, f"{rows:,} lists are loaded")
    if generation["status"] == "refused":
        # The loader refuses lists of unknown items, as it should: activate them by force.
        began = time.monotonic()
        _call(shop, "POST", f"/v1/generations/{GENERATION}/activate", json={"force": True})
        generation = until(
            lambda: _call(shop, "GET", f"/v1/generations/{GENERATION}").json(),
            f"{rows:,} lists are loaded by force",
            enough=lambda known: known["status"] in {"loaded", "failed"},
        )
    if generation["status"] != "loaded":
        raise RuntimeError(f"generation {GENERATION} was not loaded: {generation['reason']}")
    return time.monotonic() - began


def _call(shop: Shop, method: str, path: str, **options: Any) -> httpx.Response:
    """Call the loader for the tenant of the generation."""
    headers = {"x-endcap-tenant": TENANT}
    return shop.call(method, "loader", path, key="service", headers=headers, **options)


def _object_store(environment: Mapping[str, str]) -> Any:
    make: Any = boto3.client
    return make(
        "s3",
        endpoint_url=environment["AWS_ENDPOINT_URL_S3"],
        region_name=environment["AWS_REGION"],
        aws_access_key_id=environment["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=environment["AWS_SECRET_ACCESS_KEY"],
    )
