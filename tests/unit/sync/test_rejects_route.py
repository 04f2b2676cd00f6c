"""The report on refused rows, and how many imports may wait, over HTTP with a stand-in for the store."""

from __future__ import annotations

import csv
import io
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any, cast

import httpx
import pytest

from services.sync.api import imports_router
from services.sync.domain.imports import Import, Reject
from shared.auth import Principal
from shared.http.runtime import application

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
CALLER = Principal("shop", None, frozenset({"admin", "read", "catalogue"}), "key")


class Authenticator:
    """Lets everybody in."""

    def require(self, *_: str) -> Any:
        return lambda: CALLER


class Imports:
    """A store that has one import, with these refused rows."""

    def __init__(self, kept: list[Reject], rejected: int, deleted_at: datetime | None = None) -> None:
        self.kept = kept
        self.import_ = Import(
            "i", "shop", "orders", "f.csv", "request", "b", "k", None, 1, NOON, status="done"
        )
        self.import_.rows_rejected, self.import_.rejects_kept = rejected, len(kept)
        self.import_.rejects_deleted_at = deleted_at

    async def of_tenant(self, _: str, __: str) -> tuple[Import, bool]:
        return self.import_, True

    async def rejects(self, _: str) -> AsyncIterator[list[Reject]]:
        yield self.kept

    async def count_pending(self, _: str, limit: int) -> int:
        return limit


async def answered(
    imports: Imports, method: str = "GET", path: str = "/v1/imports/i/rejects"
) -> httpx.Response:
    router = imports_router(
        cast("Any", Authenticator()),
        cast("Any", imports),
        cast("Any", None),
        max_upload_bytes=100,
        max_pending_imports=7,
    )
    transport = httpx.ASGITransport(application("sync", parts=[], routers=[router]))
    async with httpx.AsyncClient(transport=transport, base_url="http://sync") as http:
        return await http.request(method, path)


async def test_a_formula_in_a_refused_row_is_text_in_the_report() -> None:
    kept = [
        Reject(2, "bad_number", "price is '=1'", '=HYPERLINK("http://x";"y")'),
        Reject(3, "bad", "@a", "1,-2"),
    ]

    answer = await answered(Imports(kept, 2))

    rows = [*csv.reader(io.StringIO(answer.text))]
    assert rows[1:] == [
        ["2", "price is '=1'", '\'=HYPERLINK("http://x";"y")', "bad_number"], ["3", "'@a", "1,-2", "bad"],
    ]  # fmt: skip


async def test_the_report_says_how_many_rows_are_left_out() -> None:
    answer = await answered(Imports([Reject(2, "bad", "why", "raw")], 3_000_000))

    rows = [*csv.reader(io.StringIO(answer.text))]
    assert rows[2:] == [["", "2999999 more rows were rejected, and are only counted", "", "more"]]


async def test_the_rejected_rows_are_a_file_to_mend_and_send_again() -> None:
    imports = Imports([Reject(2, "bad", "why", '1;"=a";x'), Reject(4, "bad", "why", "x" * 2_001)], 2)
    imports.import_.header = 'order_id;"a;b";product_id'

    answer = await answered(imports, path="/v1/imports/i/rejects?rows=file")

    assert answer.text == 'order_id;"a;b";product_id\n1;"=a";x\n'
    assert "mend-i.csv" in answer.headers["content-disposition"]
    imports.import_.header = None
    assert (await answered(imports, path="/v1/imports/i/rejects?rows=file")).text.startswith("line,reason")


async def test_a_report_that_was_deleted_is_gone() -> None:
    answer = await answered(Imports([Reject(2, "bad", "why", "raw")], 1, deleted_at=NOON))

    assert (answer.status_code, answer.json()["error"]) == (410, "RejectsDeleted")
    assert "2026-03-01" in answer.json()["detail"]


async def test_no_more_imports_wait_than_are_allowed() -> None:
    answer = await answered(Imports([], 0), "POST", "/v1/imports")

    assert (answer.status_code, answer.json()["error"]) == (429, "TooManyImports")
    assert answer.headers["retry-after"] == "60"
    assert answer.json()["detail"].startswith("7 imports are queued or running")


@pytest.mark.parametrize("rejected", [0, 1])
async def test_a_whole_report_leaves_nothing_out(rejected: int) -> None:
    answer = await answered(Imports([Reject(2, "bad", "why", "raw")][:rejected], rejected))

    assert len([*csv.reader(io.StringIO(answer.text))]) == 1 + rejected
