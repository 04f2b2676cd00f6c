"""PyAthena, unmodified, on a process of the service."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
from pyathena import DatabaseError, OperationalError, connect
from pyathena.cursor import DictCursor

from services.analytics.domain.sql import VIEWS
from tests.integration.analytics.athena_client import Client
from tests.support.analysis_queries import POPULARITY, PURCHASES
from tests.support.processes import process


def by_pyathena(url: str, client: Client) -> dict[str, Any]:
    """Return what PyAthena reads from a server, as its users write that."""
    database: Any = connect(
        endpoint_url=url,
        region_name="eu-west-1",
        aws_access_key_id=client.tenant.access_key_id,
        aws_secret_access_key=client.tenant.secret_access_key,
        s3_staging_dir=f"s3://{client.bucket}/pyathena/",
        schema_name="ml_platform",
        poll_interval=0.1,
    )
    with database as connection:
        cursor = connection.cursor()
        purchases = cursor.execute(PURCHASES).fetchall()
        names = [(column[0], column[1]) for column in cursor.description]
        user = "SELECT item_id, event_type FROM interactions WHERE user_id = %(user)s ORDER BY 1, 2 DESC"
        by_parameter = connection.cursor(DictCursor).execute(user, {"user": "ann"}).fetchall()
        popularity = cursor.execute(POPULARITY).fetchall()
        with pytest.raises(OperationalError, match=r"[Dd]ivision"):
            cursor.execute("SELECT 7 / 0")
        with pytest.raises(DatabaseError, match="refused"):
            cursor.execute("DROP VIEW items")
        tables = {row[0] for row in cursor.execute("SHOW TABLES").fetchall()}
    return {
        "names": names,
        "purchases": purchases,
        "by_parameter": by_parameter,
        "popularity": popularity,
        "tables": tables,
    }


async def test_pyathena_runs_unmodified(client: Client, tmp_path: Path) -> None:
    with process("analytics", "serve", client.environment, tmp_path) as serving:
        answers = await asyncio.to_thread(by_pyathena, serving.url, client)

    assert answers == {
        "names": [("user_id", "varchar"), ("interaction_count", "bigint")],
        "purchases": [("ann", 2), ("bob", 1)],
        "by_parameter": [
            {"item_id": "i1", "event_type": "purchase"},
            {"item_id": "i2", "event_type": "view"},
            {"item_id": "i2", "event_type": "purchase"},
        ],
        "popularity": [("i1", 0, 2, 0, 2), ("i2", 1, 1, 0, 1)],
        "tables": {*VIEWS},
    }
