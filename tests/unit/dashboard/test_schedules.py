"""The pages of schedules and of a run."""

from __future__ import annotations

import json
from typing import Any

import httpx
import pytest

from services.dashboard.store.sessions import Person
from tests.unit.dashboard.site import CSRF, browser

ANN = Person("ann", "shop", "admin")
SCHEDULES = [
    {
        "name": "default", "cron": "0 2 * * *", "timezone": "UTC", "kind": "full", "enabled": True,
        "from_settings": True, "next_due": "2026-01-03T02:00:00Z", "last_due": None, "last_run": None,
        "vip_share": None, "vip_window_days": None, "max_minutes": None,
    },
    {
        "name": "best", "cron": "0 * * * *", "timezone": "Europe/Berlin", "kind": "vip", "enabled": False,
        "from_settings": False, "next_due": None, "last_due": "2026-01-02T02:00:00Z", "last_run": 41,
        "vip_share": 0.05, "vip_window_days": None, "max_minutes": 10.0,
    },
]  # fmt: skip
COST = {
    "import_usd": 0.01, "training_usd": 2.92, "batch_usd": 12.33, "total_usd": 15.26, "training_hours": 12.2,
    "campaign_usd_per_month": 144.0,
}  # fmt: skip
RUN = {
    "id": 41, "run": 41, "kind": "vip", "options": {"vip_share": 0.05}, "status": "timed_out", "steps": [],
    "reasons": ["schedule best"], "error": "it exceeded its budget of 10 minutes", "seconds": 601.5,
    "created_at": "2026-01-02T02:00:00Z", "started_at": "2026-01-02T02:00:01Z", "finished_at": None,
    "amazon_cost": COST,
}  # fmt: skip


class Trainer:
    """The trainer with two schedules and a run; it keeps the changes that it gets."""

    def __init__(self) -> None:
        self.changes: list[tuple[str, str, Any]] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        if request.method != "GET":
            self.changes.append((request.method, request.url.path, json.loads(request.content or b"null")))
            return httpx.Response(204)
        body = RUN if request.url.path == "/v1/runs/41" else {"schedules": SCHEDULES}
        return httpx.Response(200, json=body)


async def test_schedules_are_shown_changed_and_deleted(monkeypatch: pytest.MonkeyPatch) -> None:
    trainer = Trainer()
    async with browser(monkeypatch, ANN, trainer) as client:
        page = (await client.get("/dashboard/schedules")).text
        form = {"csrf": CSRF, "name": "best", "cron": " 5 * * * * ", "kind": "vip", "enabled": "yes"}
        stored = await client.post(
            "/dashboard/schedules", data=form | {"vip_share": "0.2", "max_minutes": ""}
        )
        await client.post("/dashboard/schedules/best/delete", data={"csrf": CSRF})

    assert "from the settings" in page
    assert '<a href="/dashboard/training/runs/41">run 41</a>' in page
    assert 'value="0.05"' in page
    assert page.count("<br>the best 5.0 % of the customers<br>stopped after 10 minutes") == 1
    assert page.count("Delete the schedule") == 1
    assert stored.headers["location"] == "/dashboard/schedules"
    definition = {"cron": "5 * * * *", "timezone": "UTC", "kind": "vip", "vip_share": "0.2", "enabled": True}
    assert trainer.changes == [
        ("PUT", "/v1/schedules/best", definition), ("DELETE", "/v1/schedules/best", None)
    ]  # fmt: skip


async def test_a_run_shows_its_kind_its_end_and_what_it_would_cost(monkeypatch: pytest.MonkeyPatch) -> None:
    async with browser(monkeypatch, ANN, Trainer()) as client:
        page = (await client.get("/dashboard/training/runs/41")).text

    assert "timed_out" in page
    assert "it exceeded its budget of 10 minutes" in page
    assert "about $15.26 by list prices" in page
    assert "12.2 hours of training" in page
    assert ">vip<" in page
