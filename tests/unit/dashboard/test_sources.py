"""The pages of sources: states, errors and deliveries; runs and replays."""

from __future__ import annotations

from typing import Any

import httpx
import orjson
import pytest

from services.dashboard.store.sessions import Person
from tests.unit.dashboard.site import CSRF, browser

ANN = Person("ann", "shop", "admin")
AT = "2026-11-01T10:00:00Z"
SOURCE: dict[str, Any] = {
    "name": "erp", "id": "x", "kind": "erp", "enabled": True, "config": {"kind": "erp"}, "secrets": ["token"],
    "path": None, "waiting": 3, "failed": 1, "newest_at": AT, "next_pull_at": AT, "pulled_at": AT,
    "read_until": "2026-11-01", "pulled_objects": 1234, "pull_warnings": ["The day may be cut."],
    "pull_error": "It refuses the token.", "created_at": AT, "updated_at": AT,
}  # fmt: skip
DELIVERY = {
    "seq": 7, "topic": "online", "delivery": "d", "status": "failed", "reason": "A line has no id.",
    "received_at": AT, "settled_at": AT, "bytes": 10,
}  # fmt: skip


async def test_sources_and_their_deliveries_are_shown_run_and_replayed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    sent: list[tuple[str, Any]] = []

    def answer(request: httpx.Request) -> httpx.Response:
        if request.method == "POST":
            sent.append((request.url.path, orjson.loads(request.content)))
            return httpx.Response(202, json=SOURCE)
        path = request.url.path.removeprefix("/v1/sources")
        bodies: dict[str, Any] = {
            "": {"sources": [SOURCE, SOURCE | {"name": "web", "kind": "webhook", "enabled": False}]},
            "/erp": SOURCE,
            "/erp/deliveries": {"deliveries": [DELIVERY]},
            "/erp/deliveries/7": DELIVERY | {"body": "<b>{}</b>"},
        }
        return httpx.Response(200, json=bodies[path])

    async with browser(monkeypatch, ANN, answer) as client:
        listed = await client.get("/dashboard/sources")
        one = await client.get("/dashboard/sources/erp")
        delivery = await client.get("/dashboard/sources/erp/deliveries/7")
        ran = await client.post("/dashboard/sources/erp/run", data={"csrf": CSRF, "full": "yes"})
        await client.post("/dashboard/sources/erp/deliveries/7/replay", data={"csrf": CSRF})

    assert "It refuses the token." in listed.text
    assert "1,234" in listed.text
    assert "The day may be cut." in one.text
    assert "A line has no id." in one.text
    assert "&lt;b&gt;{}&lt;/b&gt;" in delivery.text
    assert ran.headers["location"] == "/dashboard/sources/erp"
    assert sent == [("/v1/sources/erp/run", {"full": True}), ("/v1/sources/erp/deliveries/7/replay", {})]
