"""The amount that stores which an export does not read have of a user, as their owners count it.

The recommender counts keys in Redis, analytics rows of the event lake: the engine calls them with the
credentials of its own caller, so it needs neither a key nor their stores. The trainer offers a view.
"""

from __future__ import annotations

import asyncio
import ssl
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple
from urllib.parse import quote, urlsplit

import orjson
import structlog

from services.engine.store.statements import SQL

if TYPE_CHECKING:
    from collections.abc import Mapping

    from shared.postgres import Database

LAKE_TABLES: Final = ("interactions", "orders", "servings", "exposures")
_LAKE_ROWS: Final = Path(__file__).with_name("lake_rows.sql").read_text()

Counts = dict[str, int]
"""Numbers by what is counted, with the names of the receipts of erasures."""

log = structlog.get_logger()


def lake_query(user_id: str) -> str:
    """Return the query (DuckDB's SQL) that counts the rows of a user and of the user's sessions by table."""
    return _LAKE_ROWS.format(user="'" + user_id.replace("'", "''") + "'")


class CopyCounts(NamedTuple):
    """Counts by store; None for a store that could not be counted now."""

    redis: Counts | None
    lake: Counts | None
    runs: Counts


@dataclass(frozen=True, slots=True)
class Copies:
    """Counts copies. `seconds` is the time limit of a call of another service."""

    database: Database
    recommender_url: str
    analytics_url: str
    seconds: float

    async def count(self, tenant: str, user_id: str, credentials: Mapping[str, str]) -> CopyCounts:
        """Return the counts of a user; `credentials` are the headers by which the caller was known.

        Raises one of `UNAVAILABLE` without Postgres; a service that does not answer has no counts.
        """
        runs = int(await self.database.fetchval(*SQL.count_runs_with_files(tenant=tenant)))
        redis, lake = await asyncio.gather(
            asyncio.to_thread(self._redis, user_id, credentials),
            asyncio.to_thread(self._lake, user_id, credentials),
        )
        return CopyCounts(redis, lake, {"runs_with_files": runs})

    def _redis(self, user_id: str, credentials: Mapping[str, str]) -> Counts | None:
        path = f"/v1/user-keys/{quote(user_id, safe='')}"
        answer = self._answer("GET", self.recommender_url, path, None, credentials)
        return None if answer is None else dict(answer["keys"])

    def _lake(self, user_id: str, credentials: Mapping[str, str]) -> Counts | None:
        query = {"query": lake_query(user_id), "dialect": "duckdb"}
        answer = self._answer("POST", self.analytics_url, "/v1/sql", query, credentials)
        return None if answer is None else {str(name): int(rows) for name, rows in answer["rows"]}

    def _answer(
        self, method: str, url: str, path: str, body: Any, credentials: Mapping[str, str]
    ) -> dict[str, Any] | None:
        """Return the document that a service answers with, None if it does not or refuses."""
        address = urlsplit(url)
        connection = (
            HTTPSConnection(address.netloc, timeout=self.seconds, context=ssl.create_default_context())
            if address.scheme == "https"
            else HTTPConnection(address.netloc, timeout=self.seconds)
        )
        content = None if body is None else orjson.dumps(body)
        headers = {**credentials, "content-type": "application/json"}
        try:
            connection.request(method, f"{address.path.rstrip('/')}{path}", content, headers)
            answer = connection.getresponse()
            document = orjson.loads(answer.read()) if answer.status == 200 else None
        except (OSError, HTTPException, ValueError) as error:
            log.warning("engine.copies_not_counted", url=url, error=repr(error))
            return None
        finally:
            connection.close()
        if document is None:
            log.warning("engine.copies_not_counted", url=url, status=answer.status)
        return document if isinstance(document, dict) else None
