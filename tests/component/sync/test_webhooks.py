"""Webhooks against the running service: signed, stored, merged while Kafka is away, through kill -9."""

from __future__ import annotations

import base64
import hashlib
import hmac
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import orjson
import pytest

from tests.support.processes import process
from tests.support.waiting import until
from tests.unit.sync.webhook_bodies import shopify_order, shopify_refund

if TYPE_CHECKING:
    from tests.component.sync.conftest import Sync

SECRET = "hush"
CONFIG = {"kind": "webhook", "format": "shopify"}


def admin(sync: Sync, method: str, path: str, **body: Any) -> httpx.Response:
    headers = {"x-api-key": sync.tenant.admin}
    return sync.http.request(
        method, f"/v1/sources{path}", headers=headers, **({"json": body} if body else {})
    )


@pytest.fixture(scope="module")
def path(sync: Sync) -> str:
    """The address of a source's webhooks."""
    answer = admin(sync, "POST", "", name="web", config=CONFIG, secrets={"secret": SECRET})
    assert answer.status_code == 201, answer.text
    assert SECRET not in answer.text
    return str(answer.json()["path"])


def deliver(sync: Sync, path: str, topic: str, document: Any, **headers: str) -> httpx.Response:
    body = orjson.dumps(document)
    signature = base64.b64encode(hmac.new(SECRET.encode(), body, hashlib.sha256).digest()).decode()
    signed = {"x-shopify-topic": topic, "x-shopify-hmac-sha256": signature} | headers
    return sync.http.post(path, content=body, headers=signed)


def test_a_source_is_managed_and_never_tells_its_secret(sync: Sync, path: str) -> None:
    assert admin(sync, "POST", "", name="web", config=CONFIG, secrets={"secret": "x"}).status_code == 409
    assert admin(sync, "POST", "", name="w2", config=CONFIG).json()["error"] == "MissingSecret"
    changed = admin(sync, "PUT", "/web", config=CONFIG, enabled=False).json()
    assert (changed["secrets"], changed["enabled"]) == (["secret"], False)
    assert deliver(sync, path, "orders/create", {}).status_code == 404
    assert admin(sync, "PUT", "/web", config=CONFIG).status_code == 200
    assert sync.get("/v1/sources").status_code == 403
    stored = sync.rows("SELECT secrets_encrypted, config FROM sources")
    assert SECRET.encode() not in repr(stored).encode()


def test_a_wrong_signature_is_401_and_leaves_no_row(sync: Sync, path: str) -> None:
    for forged in ("", "AAAA", "0" * 100):
        refused = deliver(sync, path, "orders/create", {"id": 1}, **{"x-shopify-hmac-sha256": forged})
        assert (refused.status_code, refused.json()["error"]) == (401, "InvalidSignature")
    assert sync.http.post(path, content=b"x" * (3 * 2**20)).status_code == 413
    assert sync.http.post("/v1/webhooks/nobody", content=b"{}").status_code == 404
    assert sync.rows("SELECT 1 FROM inbox") == []


def test_every_delivery_with_a_200_is_merged_once_through_kills_without_kafka(
    sync: Sync, path: str, folder: Path
) -> None:
    """The workers are killed while they merge; a retry and an old body follow each delivery."""
    orders = range(1, 241)
    kafka_away = {**sync.environment, "KAFKA_BOOTSTRAP_SERVERS": "127.0.0.1:1"}

    def shop(number: int) -> None:
        created = shopify_order(id=number)
        updated = shopify_order(
            id=number, updated_at="2026-11-02T00:00:00Z", refunds=[shopify_refund(number)]
        )
        for topic, body, name in (
            ("orders/updated", updated, f"u{number}"),
            ("orders/create", created, f"c{number}"),
            ("orders/create", created, f"c{number}"),
            ("orders/updated", updated, f"r{number}"),
        ):
            answer = deliver(sync, path, topic, body, **{"x-shopify-webhook-id": name})
            assert answer.status_code == 200, answer.text

    with ThreadPoolExecutor(4) as pool:
        sending = [pool.submit(shop, number) for number in orders]
        for least in (5, 60, 120):
            with process("sync", "worker", kafka_away, folder, ready=False) as worker:
                until(
                    lambda least=least: _count(sync, "orders") >= least,
                    f"{least} orders are merged",
                    every=0.01,
                )
                worker.kill()
        for sent in sending:
            sent.result()
    with process("sync", "worker", kafka_away, folder, ready=False):
        until(lambda: not sync.rows("SELECT 1 FROM inbox WHERE status = 'waiting'"), "the inbox is merged")

    assert {row["status"] for row in sync.rows("SELECT status FROM inbox")} == {"applied"}
    assert _count(sync, "inbox") == 3 * len(orders)
    assert _count(sync, "orders") == len(orders)
    placed = sync.rows("SELECT id FROM outbox WHERE aggregatetype = 'orders-v1' AND type LIKE '%Placed%'")
    assert len({row["id"] for row in placed}) == len(placed) == len(orders)
    remaining = sync.rows("SELECT sum(remaining) AS pieces, count(*) AS lines FROM order_items")
    assert remaining == [{"pieces": 2 * len(orders), "lines": 3 * len(orders)}]


def test_a_failed_delivery_is_mended_and_replayed(sync: Sync, path: str, worker: object) -> None:
    assert deliver(sync, path, "orders/create", {"id": 900}).status_code == 200
    failed = until(
        lambda: admin(sync, "GET", "/web/deliveries?status=failed").json()["deliveries"], "a delivery failed"
    )
    address = f"/web/deliveries/{failed[0]['seq']}"
    assert orjson.loads(admin(sync, "GET", address).json()["body"]) == {"id": 900}
    assert failed[0]["reason"]

    assert admin(sync, "POST", f"{address}/replay", body=shopify_order(id=900)).status_code == 200

    until(lambda: sync.get("/v1/orders/900").status_code == 200, "the order is there")
    order = sync.get("/v1/orders/900").json()
    assert [version["revision"] for version in order["versions"]] == [0]
    assert admin(sync, "POST", f"{address}/replay", body={"id": 1}).json()["error"] == "NotReplayable"


def _count(sync: Sync, table: str) -> int:
    (row,) = sync.rows(f"SELECT count(*) FROM {table}")
    return int(row["count"])
