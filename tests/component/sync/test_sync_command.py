"""`python -m services.sync sync`: sources are asked now, and the command says what they brought."""

from __future__ import annotations

import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.support.erp import TOKEN, running_erp
from tests.support.processes import finished, process
from tests.support.waiting import until

if TYPE_CHECKING:
    from tests.component.sync.conftest import Sync

TODAY = datetime.now(UTC).date()
LONG_AGO, YESTERDAY = (str(TODAY - timedelta(days=back)) for back in (20, 1))


def sync_command(sync: Sync, folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {"ENDCAP_SYNC_URL": sync.serve.url, "ENDCAP_ADMIN_KEY": sync.tenant.admin}
    return finished("sync", ["sync", *arguments], environment, folder)


def test_a_daily_run_reads_what_is_new_and_a_full_one_everything(sync: Sync, folder: Path) -> None:
    headers = {"x-api-key": sync.tenant.admin}
    with running_erp() as erp:
        erp.add("online", LONG_AGO, 1)
        erp.add("store", YESTERDAY, 2)
        config = {"kind": "erp", "base_url": erp.url, "start_date": LONG_AGO, "requests_per_second": 100}
        source: dict[str, Any] = {"name": "till", "config": config, "secrets": {"token": TOKEN}}
        none = sync_command(sync, folder)
        assert sync.http.post("/v1/sources", json=source, headers=headers).status_code == 201
        with process("sync", "worker", sync.environment | {"SYNC_ALLOW_INTERNAL_SOURCES": "1"}, folder):
            until(
                lambda: sync.http.get("/v1/sources/till", headers=headers).json()["pulled_at"],
                "the source was asked when it was new",
            )
            erp.add("online", LONG_AGO, 3)
            erp.add("store", YESTERDAY, 4)
            daily = sync_command(sync, folder, "--source", "till")
            full = sync_command(sync, folder, "--full")
            unknown = sync_command(sync, folder, "--source", "tail")
            ids = "SELECT order_id FROM orders WHERE order_id ~ '^(oe|pos)-' ORDER BY order_id"
            orders = until(lambda: sync.rows(ids), "four orders", enough=lambda rows: len(rows) == 4)

    assert (none.returncode, none.stdout) == (0, "")
    assert "POST /v1/sources adds one" in none.stderr
    assert (daily.returncode, full.returncode) == (0, 0), daily.stderr + full.stderr
    assert daily.stdout == "till: 2 orders, items and users read\n"
    assert full.stdout == "till: 4 orders, items and users read\n"
    assert unknown.returncode == 1
    assert "There is no source tail" in unknown.stderr
    assert [row["order_id"] for row in orders] == ["oe-1", "oe-3", "pos-2", "pos-4"]
