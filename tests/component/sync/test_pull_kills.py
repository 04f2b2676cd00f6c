"""kill -9 of the worker while it asks an ERP that fails now and then: no order is lost or doubled."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx

from tests.support.erp import TOKEN, running_erp
from tests.support.processes import process
from tests.support.waiting import until

if TYPE_CHECKING:
    from tests.component.sync.conftest import Sync

TODAY = datetime.now(UTC).date()
DAYS = [str(TODAY - timedelta(days=back)) for back in range(14, -1, -1)]

OF_ERP = "source_id = (SELECT id FROM sources WHERE name = 'erp')"


def admin(sync: Sync, method: str, path: str, body: Any = None) -> httpx.Response:
    headers = {"x-api-key": sync.tenant.admin}
    return sync.http.request(method, f"/v1/sources{path}", headers=headers, json=body)


def counted(sync: Sync, table: str, condition: str = "true") -> int:
    (row,) = sync.rows(f"SELECT count(*) FROM {table} WHERE {condition}")
    return int(row["count"])


def test_a_run_survives_the_death_of_its_worker_in_each_state(sync: Sync, folder: Path) -> None:
    """The worker dies while it asks, while it stores, and while it merges; then statuses change."""
    environment = {**sync.environment, "SYNC_ALLOW_INTERNAL_SOURCES": "1"}
    with running_erp() as erp:
        for place, day in enumerate(DAYS):
            for number in range(21):
                erp.add("online", day, place * 100 + number)
                erp.add("store", day, place * 100 + number)
        erp.faults = ["ok", "500", "ok", "cut", "429", "ok"] * 3
        config = {"kind": "erp", "base_url": erp.url, "start_date": DAYS[0], "requests_per_second": 20}
        added = admin(sync, "POST", "", {"name": "erp", "config": config, "secrets": {"token": TOKEN}})
        assert added.status_code == 201, added.text
        for least in (1, 150, 350):
            with process("sync", "worker", environment, folder) as worker:
                until(
                    lambda least=least: counted(sync, "inbox", OF_ERP) >= least,
                    f"{least} orders are stored",
                    every=0.01,
                )
                worker.kill()
            # A dead worker's lease runs out after fifteen seconds; the test does not wait for it.
            sync.rows("UPDATE jobs SET lease_until = now() WHERE kind = 'pull' RETURNING id")
        with process("sync", "worker", environment, folder):
            _wait_for_run(sync, None)
            first = admin(sync, "GET", "/erp").json()["pulled_at"]
            erp.orders["online"][DAYS[-1]][0]["order_status"] = "Cancelled Orders"
            assert admin(sync, "POST", "/erp/run", {"full": True}).status_code == 202
            _wait_for_run(sync, first)
            until(
                lambda: counted(sync, "inbox", f"{OF_ERP} AND status = 'waiting'") == 0, "the inbox is merged"
            )

    orders = 2 * 21 * len(DAYS)
    assert counted(sync, "orders", "source = 'erp'") == orders
    assert counted(sync, "inbox", OF_ERP) == orders + 1
    assert counted(sync, "order_items", "remaining = 0 AND order_id ~ '^(oe|pos)-'") == 1
    placed = sync.rows(
        "SELECT id FROM outbox WHERE aggregatetype = 'orders-v1' AND type LIKE '%Placed%' "
        "AND payload ->> 'source' = 'erp'"
    )
    assert len({row["id"] for row in placed}) == len(placed) == orders


def _wait_for_run(sync: Sync, before: str | None) -> None:
    source = until(
        lambda: admin(sync, "GET", "/erp").json(),
        "the run has ended",
        enough=lambda source: source["pulled_at"] != before and source["waiting"] == 0,
    )
    assert source["pull_error"] is None, source
