"""SQL: a query of the event lake with its result as a table, as a chart and as CSV."""

from __future__ import annotations

from typing import Final

from starlette.requests import Request
from starlette.responses import Response

from services.dashboard.api.guard import Admin, Visitor
from services.dashboard.domain.query_results import as_csv, chart, shares
from services.dashboard.pages.site import Page, PageRoutes, get, post
from services.dashboard.store.event_lake import EXAMPLES
from services.dashboard.store.services import Reply
from shared.http.disconnects import unless_disconnected

QUERY_SECONDS: Final = 60.0
"""Seconds that a query may wait and run; analytics has its own, shorter limit for the run."""

SHOWN_ROWS: Final = 500
FILE_ROWS: Final = 10_000
"""Rows of the table and of the file, at most; analytics answers no more."""


class SqlPages(PageRoutes):
    """The routes of queries."""

    @get("/sql")
    async def form(self, request: Request, visitor: Admin, query: str = "") -> Response:
        """Show the form, with a query that an example filled in."""
        return self._page(request, visitor, query or next(iter(EXAMPLES.values())), None)

    @post("/sql")
    async def result(self, request: Request, visitor: Admin) -> Response:
        """Run the query of the form and show its result."""
        reply = await self._run(request, visitor, SHOWN_ROWS)
        return self._page(request, visitor, visitor.text("query"), reply)

    @post("/sql/csv")
    async def file(self, request: Request, visitor: Admin) -> Response:
        """Run the query of the form and return its result as a file."""
        reply = await self._run(request, visitor, FILE_ROWS)
        if not reply.ok:
            return self._page(request, visitor, visitor.text("query"), reply)
        return Response(
            as_csv(reply.get("columns", []), reply.get("rows", [])),
            headers={"content-disposition": 'attachment; filename="query.csv"'},
            media_type="text/csv; charset=utf-8",
        )

    def _page(self, request: Request, visitor: Visitor, query: str, reply: Reply | None) -> Response:
        columns = reply.get("columns", []) if reply else []
        rows = reply.get("rows", []) if reply else []
        return self._site.render(
            request, visitor, "sql.html", query=query, examples=EXAMPLES, reply=reply, columns=columns,
            rows=rows, chart=chart(columns, rows), shares=shares(columns, rows),
        )  # fmt: skip

    async def _run(self, request: Request, visitor: Visitor, max_rows: int) -> Reply:
        """Return the reply of analytics; the query ends when the browser closes the connection."""
        body = {"query": visitor.text("query"), "max_rows": max_rows}
        call = self._services.call(
            visitor.tenant, "POST", "analytics", "/v1/sql", json=body, seconds=QUERY_SECONDS
        )
        return await unless_disconnected(call, request)


PAGE = Page("sql", "SQL", "Learn", "admin", SqlPages.routes)
