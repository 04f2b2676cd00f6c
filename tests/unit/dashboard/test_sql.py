"""The page SQL: what is sent, what is shown, what is drawn, and the file."""

from __future__ import annotations

from typing import Any

import httpx
import orjson
import pytest

from services.dashboard.domain.query_results import MOST_BARS, as_csv, chart, shares
from services.dashboard.store.sessions import Person
from tests.unit.dashboard.site import CSRF, browser

ANN = Person("ann", "shop", "admin")
DAYS = [
    {"name": "dt", "type": "VARCHAR"},
    {"name": "n", "type": "BIGINT"},
    {"name": "who", "type": "VARCHAR"},
]


class Analytics:
    """The service's SQL, which answers with these rows or refuses."""

    def __init__(self, rows: list[list[Any]], problem: str = "") -> None:
        self.rows, self.problem, self.bodies = rows, problem, list[Any]()

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.bodies.append(orjson.loads(request.content))
        if self.problem:
            return httpx.Response(400, json={"error": "InvalidQuery", "detail": self.problem})
        body = {"query_id": "q", "columns": DAYS, "rows": self.rows, "truncated": True, "seconds": 0.25}
        return httpx.Response(200, json=body)


async def test_a_result_is_a_table_a_chart_and_a_file(monkeypatch: pytest.MonkeyPatch) -> None:
    analytics = Analytics([["2026-11-02", 3, "<b>"], ["2026-11-01", 5, None]])
    async with browser(monkeypatch, ANN, analytics) as client:
        form = {"csrf": CSRF, "query": " SELECT 1 "}
        page = (await client.post("/dashboard/sql", data=form)).text
        file = await client.post("/dashboard/sql/csv", data=form)

    assert [body["query"] for body in analytics.bodies] == ["SELECT 1"] * 2
    assert [body["max_rows"] for body in analytics.bodies] == [500, 10_000]
    assert "<td>&lt;b&gt;</td>" in page
    assert "data-chart" in page
    assert "there are more" in page
    assert file.text == "dt,n,who\r\n2026-11-02,3,<b>\r\n2026-11-01,5,\r\n"
    assert file.headers["content-disposition"] == 'attachment; filename="query.csv"'


@pytest.mark.parametrize("path", ["/dashboard/sql", "/dashboard/sql/csv"])
async def test_a_refused_query_stays_in_the_form_with_its_reason(
    monkeypatch: pytest.MonkeyPatch, path: str
) -> None:
    async with browser(monkeypatch, ANN, Analytics([], "the table x does not exist")) as client:
        page = await client.post(path, data={"csrf": CSRF, "query": "SELECT y FROM x"})

    assert page.status_code == 200
    assert "the table x does not exist" in page.text
    assert "SELECT y FROM x</textarea>" in page.text


async def test_an_address_fills_the_form_and_runs_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    analytics = Analytics([])
    async with browser(monkeypatch, ANN, analytics) as client:
        page = await client.get("/dashboard/sql", params={"query": "SELECT 2"})

    assert "SELECT 2</textarea>" in page.text
    assert analytics.bodies == []


def test_a_chart_needs_distinct_times_and_numbers() -> None:
    rows = [["2026-11-02", 3, "a"], ["2026-11-01", None, "b"]]
    drawn = chart(DAYS, rows)

    assert drawn is not None
    assert drawn.times == [1793491200.0, 1793577600.0]
    assert drawn.series == [{"name": "n", "values": [None, 3]}]
    assert chart(DAYS, [rows[0], rows[0]]) is None
    assert chart(DAYS, [["2026-11-02", "3", "a"], ["2026-11-01", "4", "b"]]) is None
    assert chart([{"name": "city", "type": "VARCHAR"}, *DAYS[1:]], rows) is None
    assert chart([{"name": "hour", "type": "TIMESTAMP"}, *DAYS[1:]], rows) == drawn
    assert chart([], []) is None


def test_bars_show_the_last_number_of_each_row() -> None:
    assert shares(DAYS, [["a", 2, "x"], ["b", 4, "y"]]) == [0.5, 1.0]
    assert shares(DAYS, [["a", 0, "x"]]) == [0.0]
    assert shares(DAYS, [["a", -1, "x"], ["b", 4, "y"]]) is None
    assert shares(DAYS, [["a", None, "x"], ["b", 4, "y"]]) is None
    assert shares(DAYS, [["a", 1, "x"]] * (MOST_BARS + 1)) is None


def test_a_file_quotes_what_has_commas_and_lines() -> None:
    assert as_csv(DAYS, [['a,"b"', 1, "c\nd"]]) == 'dt,n,who\r\n"a,""b""",1,"c\nd"\r\n'
