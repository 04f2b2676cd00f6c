"""A run by step with its memory, and the loader beside a bare COPY of the same rows."""

from __future__ import annotations

import asyncio
import hashlib
import random
import time
from datetime import UTC, datetime
from typing import Any

import asyncpg
import orjson

from deploy.local.load import load
from deploy.local.shop import write_shop
from shared.events import BatchCompleted
from shared.events.topics import BATCHES
from shared.kafka import Publisher
from tests.load.figures import Figure, PeakMemory
from tests.load.product import product
from tests.support.kafka import settings_for
from tests.support.product import Endcap
from tests.support.shop import Shop
from tests.support.waiting import until

USERS = 180_000
ITEMS = 4_200
LIST = 25
BUDGET = "< 10 s for 180,000 lists"


def run() -> list[Figure]:
    """The sample shop's run, then a generation of 180,000 lists."""
    with product() as endcap:
        folder = write_shop(endcap.stack.root / "shop")
        workers = [endcap.pid(name) for name in ("trainer-worker", "engine-worker", "loader-worker")]
        with PeakMemory(*workers) as memory:
            load(endcap.stack, folder)
        with Shop(endcap, folder) as shop:
            figures = [*_steps(shop, memory.mib), _freshness(shop)]
            return figures + asyncio.run(_loader(endcap, shop))


def _steps(shop: Shop, mib: float) -> list[Figure]:
    newest = shop.get("trainer", "/v1/runs")["runs"][0]
    found = shop.get("trainer", f"/v1/runs/{newest['id']}")
    steps = [Figure(f"run, step {step['name']}", step["seconds"] or 0.0, "s") for step in found["steps"]]
    rows = len(shop.rows("orders")) + len(shop.rows("interactions"))
    note = f"sample shop, {rows:,} interactions; trainer, engine and loader together"
    return [*steps, Figure("run, peak memory", mib, "MiB", note, "< 2 GiB")]


def _freshness(shop: Shop) -> Figure:
    """From the 2xx of a purchase until the item is gone from that user's list, a hundred times."""
    took = []
    for number in range(100):
        user = shop.buyer(number)
        first = shop.recommended(user)["recommendations"][0]["product_id"]
        shop.send({"user_id": user, "event_type": "purchase", "item_id": first})
        began = time.perf_counter()
        while first in [item["product_id"] for item in shop.recommended(user)["recommendations"]]:
            if time.perf_counter() - began > 30:
                raise RuntimeError(f"{first} is still recommended to {user} after 30 s")
        took.append((time.perf_counter() - began) * 1000)
    took.sort()
    return Figure("freshness, p50 of 100", took[49], "ms", f"p99 {took[98]:.1f} ms", "p99 < 1 s")


async def _loader(endcap: Endcap, shop: Shop) -> list[Figure]:
    generator = random.Random(7)
    items = [f"item-{number}" for number in range(ITEMS)]
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
        for user in range(USERS)
    )
    bare = await _bare_copy(endcap, lists, scores)
    with PeakMemory(endcap.pid("loader-worker")) as memory:
        seconds = await _load(endcap, shop, body)
    return [
        Figure(
            "loader, Postgres and Redis",
            USERS / seconds,
            "lists/s",
            f"bare COPY alone {USERS / bare:,.0f} lists/s ({bare:.1f} s)",
        ),
        Figure("loader, 180,000 lists", seconds, "s", f"peak memory {memory.mib:,.0f} MiB", BUDGET),
    ]


async def _bare_copy(endcap: Endcap, lists: list[list[str]], scores: list[float]) -> float:
    connection = await asyncpg.connect(endcap.environment["DATABASE_URL"])
    try:
        await connection.execute("CREATE TABLE bare (id text PRIMARY KEY, items jsonb NOT NULL)")
        records = [
            (f"user-{user}", orjson.dumps(list(zip(lists[user % len(lists)], scores, strict=True))).decode())
            for user in range(USERS)
        ]
        began = time.monotonic()
        await connection.copy_records_to_table("bare", records=records)
        return time.monotonic() - began
    finally:
        await connection.execute("DROP TABLE IF EXISTS bare")
        await connection.close()


async def _load(endcap: Endcap, shop: Shop, body: bytes) -> float:
    """From BatchCompleted to the activation, through the product's own way."""
    number = 1_000_000
    folder = f"default/runs/{number}"
    now = datetime.now(UTC)
    file = {
        "key": f"{folder}/user-personalization.out",
        "rows": USERS,
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
        "tenant": "default",
        "run": number,
        "started_at": now.isoformat(),
        "completed_at": now.isoformat(),
        "recipes": {"user-personalization": recipe},
    }
    s3 = shop.boto3("s3")
    s3.put_object(Bucket="endcap-data", Key=file["key"], Body=body)
    s3.put_object(Bucket="endcap-data", Key=f"{folder}/_manifest.json", Body=orjson.dumps(manifest))
    event = BatchCompleted(
        event_id=f"bench-{number}",
        tenant="default",
        occurred_at=now,
        run=number,
        bucket="endcap-data",
        manifest=f"{folder}/_manifest.json",
        recipes=("user-personalization",),
        started_at=now,
    )
    settings = settings_for(endcap.environment)
    publisher = Publisher(settings, "bench", [BATCHES])
    await publisher.start()
    began = time.monotonic()
    await publisher.publish(BATCHES, [event], within=10)
    await publisher.stop()

    def ended() -> Any:
        answer = shop.call("GET", "loader", f"/v1/generations/{number}")
        known = answer.json() if answer.status_code == 200 else {"status": "unknown"}
        return known if known["status"] in {"loaded", "refused", "failed"} else None

    found = until(ended, "180,000 lists are loaded")
    if found["status"] == "refused":
        # The lists' items are made up, which the loader rightly doubts: load them all the same.
        began = time.monotonic()
        shop.call("POST", "loader", f"/v1/generations/{number}/activate", json={"force": True})
        until(
            lambda: shop.get("loader", f"/v1/generations/{number}")["status"] == "loaded",
            "180,000 lists are loaded by force",
            seconds=120,
        )
    return time.monotonic() - began
