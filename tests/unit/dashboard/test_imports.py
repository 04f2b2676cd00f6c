"""Imports summed up by source, and their rejected rows as a file."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from services.dashboard.domain.imports import sources
from services.dashboard.store.sessions import Person
from tests.unit.dashboard.site import browser

BOB = Person("bob", "shop", "viewer")


def imported(kind: str, source: str | None, at: str, accepted: int, status: str = "done") -> dict[str, Any]:
    rows = {"read": 9, "accepted": accepted, "rejected": 9 - accepted, "duplicate": 0}
    return {"kind": kind, "source": source, "created_at": at, "status": status, "rows": rows}


def test_imports_are_summed_up_by_kind_and_source_newest_first() -> None:
    rows = [
        imported("orders", "erp", "2026-11-02T00:00:00Z", 5),
        imported("orders", "erp", "2026-11-01T00:00:00Z", 4, "failed"),
        imported("items", None, "2026-11-03T00:00:00Z", 9),
    ]

    first, second = sources(rows)

    assert (first.kind, first.source, first.files) == ("items", "not chosen yet", 1)
    assert (second.files, second.accepted, second.rejected, second.failed) == (2, 9, 9, 1)
    assert second.newest_at == "2026-11-02T00:00:00Z"


async def test_rejected_rows_come_as_the_file_of_sync(monkeypatch: pytest.MonkeyPatch) -> None:
    headers = {"content-type": "text/csv; charset=utf-8"}
    headers["content-disposition"] = 'attachment; filename="r.csv"'

    def answer(request: httpx.Request) -> httpx.Response:
        assert request.url.raw_path == b"/v1/imports/i-1/rejects"
        return httpx.Response(200, content="line,reason\n3,Größe\n".encode(), headers=headers)

    async with browser(monkeypatch, BOB, answer) as client:
        file = await client.get("/dashboard/data/imports/i-1/rejects")

    assert file.text == "line,reason\n3,Größe\n"
    assert file.headers["content-type"] == "text/csv; charset=utf-8"
    assert file.headers["content-disposition"] == 'attachment; filename="r.csv"'
