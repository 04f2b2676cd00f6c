"""HTTP: SQL over the event lake and the catalogue."""

# No `from __future__ import annotations`: FastAPI cannot resolve annotations defined inside a function.
import uuid
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Path, Request
from pydantic import BaseModel, ConfigDict, Field

from services.analytics.domain.sql import MAX_CHARACTERS, Dialect, checked
from services.analytics.store import QueryRunner
from shared.auth import Authenticator, Principal
from shared.events.values import Text
from shared.http.disconnects import unless_disconnected

MAX_ROWS = 10_000
_QUERY_ID = r"^[A-Za-z0-9_-]{1,64}$"


class SqlRequest(BaseModel):
    """A query: one SELECT."""

    model_config = ConfigDict(extra="forbid")

    query: Text = Field(min_length=1, max_length=MAX_CHARACTERS)
    dialect: Dialect = Field("trino", description="trino (Athena's) or duckdb")
    max_rows: int = Field(1_000, ge=1, le=MAX_ROWS, description="rows beyond these are left out")
    query_id: str | None = Field(
        None, pattern=_QUERY_ID, description="a name by which another request can cancel the query"
    )


class Column(BaseModel):
    """A column of a result."""

    name: str
    type: str = Field(description="DuckDB's name of the type")


class SqlResult(BaseModel):
    """The rows of a query."""

    query_id: str
    columns: list[Column]
    rows: list[list[Any]] = Field(
        description="decimals, large integers, NaN and infinities are texts; times are ISO 8601 in UTC"
    )
    truncated: bool = Field(description="whether there are more rows than max_rows")
    seconds: float = Field(description="time of the query, without the start of its process")


class Cancelled(BaseModel):
    """The outcome of a cancellation."""

    cancelled: bool


class SqlRoutes:
    """The routes that run and cancel queries."""

    def __init__(self, runner: QueryRunner, authenticator: Authenticator) -> None:
        self._runner = runner
        self._authenticator = authenticator

    def router(self) -> APIRouter:
        """Return the routes."""
        routes = APIRouter(prefix="/v1/sql", tags=["SQL"])
        Analyst = Annotated[Principal, Depends(self._authenticator.require("admin"))]  # noqa: N806

        @routes.post("", operation_id="run_sql")
        async def run_sql(caller: Analyst, body: SqlRequest, request: Request) -> SqlResult:
            """Run one SELECT over interactions, orders, order_items, servings, exposures, items and users.

            The query ends when the client closes the connection.
            """
            query = checked(body.query, body.dialect)
            query_id = body.query_id or uuid.uuid4().hex
            running = self._runner.run(caller.own_tenant, query, body.max_rows, query_id)
            return SqlResult(query_id=query_id, **await unless_disconnected(running, request))

        @routes.delete("/{query_id}", operation_id="cancel_sql")
        async def cancel_sql(caller: Analyst, query_id: Annotated[str, Path(pattern=_QUERY_ID)]) -> Cancelled:
            """Cancel a query of the tenant that runs in this process."""
            return Cancelled(cancelled=self._runner.cancel(caller.own_tenant, query_id))

        return routes
