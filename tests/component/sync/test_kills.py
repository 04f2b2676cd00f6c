"""kill -9 in the middle of an import, and of the relay: rows = outbox = topic, nothing twice."""

from __future__ import annotations

import random
from pathlib import Path
from typing import TYPE_CHECKING

import httpx

from tests.support.processes import process
from tests.support.waiting import PATIENCE, until

if TYPE_CHECKING:
    from tests.component.sync.conftest import Sync

HEADER = "order_id,user_id,ordered_at,product_id,product_name,quantity,price\n"


def a_file(prefix: str, orders: int, seed: int = 7) -> bytes:
    """Orders of one to five lines, with a bad row now and then."""
    chance = random.Random(seed)
    rows = []
    for order in range(orders):
        for _ in range(chance.randint(1, 5)):
            product = f"{prefix}p{chance.randint(1, 300)}"
            quantity = "x" if chance.random() < 0.01 else "1"
            user, name = f"{prefix}u{order % 97}", f"Name of {product}"
            rows.append(f"{prefix}{order},{user},2026-03-01,{product},{name},{quantity},2.5\n")
    return (HEADER + "".join(rows)).encode()


def refused_rows(content: bytes) -> int:
    """Count the rows of orders that have a bad row: an order is taken whole or not at all."""
    rows = content.splitlines()[1:]
    refused = {row.split(b",")[0] for row in rows if b",x," in row}
    return sum(row.split(b",")[0] in refused for row in rows)


def until_progress(sync: Sync, identity: str, progress: float) -> None:
    until(lambda: sync.report(identity)["progress"] >= progress, f"the import is at {progress}", every=0.005)


def until_left(sync: Sync, most: float) -> None:
    until(lambda: left(sync) < most, f"fewer than {most} events are left in the outbox", every=0.005)


def left(sync: Sync) -> int:
    (row,) = sync.rows("SELECT count(*) FROM outbox")
    return int(row["count"])


def counted(sync: Sync, prefix: str) -> dict[str, int]:
    (row,) = sync.rows(
        "SELECT (SELECT count(*) FROM orders WHERE order_id LIKE $1) AS orders, "
        "(SELECT count(*) FROM order_items WHERE order_id LIKE $1) AS lines, "
        "(SELECT count(*) FROM items WHERE item_id LIKE $1) AS items, "
        "(SELECT count(*) FROM users WHERE user_id LIKE $1) AS users",
        f"{prefix}%",
    )
    return {name: int(count) for name, count in row.items()}


def test_an_import_whose_worker_is_killed_five_times_changes_nothing_twice(
    sync: Sync, tmp_path: Path
) -> None:
    content = a_file("k", 3_000)
    identity = sync.post(content).json()["id"]
    environment = {**sync.environment, "SYNC_CHUNK_ROWS": "100"}
    for progress in (0.05, 0.2, 0.45, 0.6, 0.8):
        with process("sync", "worker", environment, tmp_path) as worker:
            until_progress(sync, identity, progress)
            worker.kill()
        assert sync.report(identity)["finished_at"] is None
        # A dead worker's lease runs out after fifteen seconds; the test does not wait for it.
        sync.rows("UPDATE jobs SET lease_until = now() WHERE key = $1 RETURNING id", identity)
    with process("sync", "worker", environment, tmp_path):
        sync.ended(identity)

    report = sync.report(identity)
    lines = content.count(b"\n") - 1
    bad = refused_rows(content)
    assert bad > content.count(b",x,") > 0
    assert report["rows"] == {"read": lines, "accepted": lines - bad, "rejected": bad, "duplicate": 0}
    (events,) = sync.rows(
        "SELECT count(*) FILTER (WHERE aggregatetype = 'orders-v1') AS orders, "
        "count(DISTINCT id) FILTER (WHERE aggregatetype = 'orders-v1') AS different, "
        "sum(json_array_length(payload->'lines')) FILTER (WHERE aggregatetype = 'orders-v1')::int AS lines, "
        "count(*) FILTER (WHERE aggregatetype = 'items-v1') AS items, "
        "count(*) FILTER (WHERE aggregatetype = 'users-v1') AS users, "
        "count(*) FILTER (WHERE aggregatetype = 'training-requests-v1') AS requests "
        "FROM outbox WHERE tenant = $1",
        sync.tenant.name,
    )
    known = counted(sync, "k")
    assert events == {**known, "different": known["orders"], "requests": 1}
    assert {name: report["changes"][name] for name in ("orders", "items", "users")} == {
        name: known[name] for name in ("orders", "items", "users")
    }
    assert known["lines"] == lines - bad


def test_a_relay_that_is_killed_again_and_again_loses_nothing(sync: Sync, tmp_path: Path) -> None:
    with process("sync", "worker", sync.environment, tmp_path):
        report = sync.load(a_file("r", 4_000))
    waiting = sync.rows("SELECT id, aggregatetype FROM outbox WHERE tenant = $1", sync.tenant.name)
    assert len(waiting) > 4_000

    kills = 0
    for share in (0.95, 0.5):
        with process("sync", "relay", sync.environment, tmp_path, ready=False) as relay:
            until_left(sync, share * len(waiting))
            relay.kill()
            kills += left(sync) > 0
    assert kills == 2
    with process("sync", "relay", sync.environment, tmp_path):
        sync.ended(report["id"], relayed=True)

    for topic in ("orders-v1", "items-v1", "users-v1", "training-requests-v1"):
        expected = {row["id"] for row in waiting if row["aggregatetype"] == topic}
        on_kafka = sync.ids_on(topic)
        assert expected <= set(on_kafka), topic
        # At least once: a relay that dies behind the acknowledgement publishes its batch again,
        # under the same ids, which every consumer knows.
        assert len(on_kafka) - len(set(on_kafka)) <= kills * 1_000, topic


def test_without_the_object_store_a_file_is_taken_back_and_the_shop_can_be_seen(
    sync: Sync, tmp_path: Path
) -> None:
    environment = {**sync.environment, "AWS_ENDPOINT_URL_S3": "http://127.0.0.1:9"}
    with process("sync", "serve", environment, tmp_path) as serve:
        headers = {"x-api-key": sync.tenant.admin}
        refused = httpx.post(
            f"{serve.url}/v1/imports",
            files={"file": ("o.csv", a_file("s", 1))},
            data={"kind": "orders"},
            headers=headers,
            timeout=PATIENCE,
        )
        listed = httpx.get(f"{serve.url}/v1/imports", headers=headers, timeout=PATIENCE)

    assert (refused.status_code, refused.headers["retry-after"]) == (503, "1")
    assert listed.status_code == 200
