"""Which SQL is accepted, and what DuckDB does with the rest if it should ever get it."""

from __future__ import annotations

import base64
import io
import subprocess
import sys
from pathlib import Path
from typing import Any

import duckdb
import orjson
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from deltalake import write_deltalake

from services.analytics.computations.query_process import connect, lock, refuse_all_but_a_select, run
from services.analytics.domain.lake_tables import BY_NAME
from services.analytics.domain.sql import VIEWS, checked
from shared.errors import ApiError

NOON = "2026-11-20T12:00:00+00:00"


@pytest.mark.parametrize(
    "query",
    [
        "SELECT * FROM read_csv('/etc/passwd')",
        "SELECT content FROM read_text('/etc/passwd')",
        "SELECT * FROM '/etc/passwd'",
        'SELECT * FROM "s3://endcap-data/other/lake/interactions/a.parquet"',
        "SELECT * FROM (SELECT * FROM parquet_scan('x'))",
        "SELECT * FROM glob('*')",
        "SELECT getenv('HOME')",
        "SELECT * FROM duckdb_secrets()",
        "SELECT * FROM query('SELECT 1')",
        "COPY (SELECT 1) TO '/tmp/x'",
        "COPY items TO 's3://bucket/x'",
        "ATTACH 'x' AS y",
        "INSTALL httpfs",
        "LOAD httpfs",
        "SET memory_limit = '100GB'",
        "PRAGMA database_list",
        "CREATE TABLE x AS SELECT 1",
        "INSERT INTO items SELECT 1",
        "UPDATE items SET name = 'x'",
        "DELETE FROM items",
        "DROP VIEW items",
        "SELECT 1; SELECT 2",
        "SELECT * FROM other.interactions",
        "SELECT * FROM other.endcap.interactions",
        "SELECT * FROM information_schema.tables",
        "SELECT * FROM source_interactions",
        "EXPLAIN SELECT 1",
        "(((",
        "",
    ],
)
@pytest.mark.parametrize("dialect", ["trino", "duckdb"])
def test_anything_but_one_select_over_the_views_is_refused(query: str, dialect: Any) -> None:
    with pytest.raises(ApiError) as refused:
        checked(query, dialect)

    assert refused.value.status == 400


def test_names_of_athena_are_those_of_the_views() -> None:
    query = checked('SELECT i.name FROM "AwsDataCatalog"."endcap"."items" i JOIN Orders o ON true', "trino")

    assert query.views == {"items", "orders"}
    assert query.text == "SELECT i.name FROM items AS i JOIN orders AS o ON TRUE"


def test_a_common_table_expression_may_have_the_name_of_its_view() -> None:
    assert checked("WITH orders AS (SELECT * FROM endcap.orders) SELECT * FROM orders", "trino").views == {
        "orders"
    }


def task(query: str, folder: Path, **changes: Any) -> dict[str, Any]:
    """A task over a table of two interactions in a folder."""
    rows = [
        {
            "event_id": f"e{number}",
            "event_type": "purchase",
            "user_id": "ann",
            "item_id": f"i{number}",
            "value": 2.5,
        }
        for number in range(2)
    ]
    table = pa.Table.from_pylist(
        [{**row, "dt": "2026-11-20", "kafka_offset": 1} for row in rows], BY_NAME["interactions"].schema
    )
    write_deltalake(folder / "interactions", table, partition_by=["dt"], mode="overwrite")
    checked_query = checked(query, "trino")
    return {
        "sql": checked_query.text,
        "views": [*VIEWS],
        "tables": {name: str(folder / name) for name in BY_NAME},
        "options": {},
        "catalogue": {"items": [["i1", "Tea", "a|b", 2.0, "EUR", True, NOON, '{"x": 1}', NOON]], "users": []},
        "rows": 100,
        "form": "json",
        "seconds": 20,
        "memory_bytes": 256 * 2**20,
        "folder": str(folder),
        "disk_bytes": 2**30,
        **changes,
    }


@pytest.mark.parametrize(
    ("query", "rows"),
    [
        ("SELECT user_id, count(*), sum(value) FROM interactions GROUP BY user_id", [["ann", 2, 5.0]]),
        ("SELECT i.name FROM interactions e JOIN items i ON i.item_id = e.item_id", [["Tea"]]),
        ("SELECT 5/2, -5/2, 5.0/2", [[2, -2, 2.5]]),
        ("SELECT json_extract_scalar(attributes, '$.x') FROM items", [["1"]]),
        ("SELECT created_at FROM items", [[NOON]]),
        ("SELECT count(*) FROM order_items", [[0]]),
        ("SELECT item_id FROM interactions WHERE dt = '2026-11-21'", []),
    ],
)
def test_queries_are_answered(query: str, rows: list[Any], tmp_path: Path) -> None:
    assert run(task(query, tmp_path))["rows"] == rows


@pytest.mark.parametrize(
    "query",
    [
        "SELECT content FROM read_text('/etc/passwd')",
        "COPY (SELECT 1) TO '/tmp/endcap-attack'",
        "SET enable_external_access = true",
        "SET memory_limit = '100GB'",
        "ATTACH '/tmp/endcap-attack.db' AS attack",
        "INSTALL httpfs",
        "SELECT * FROM read_parquet('http://127.0.0.1:1/x')",
        "SELECT * FROM rows_of_python",
    ],
)
def test_duckdb_itself_reaches_no_file_no_network_and_no_setting(query: str, tmp_path: Path) -> None:
    rows_of_python = pa.table({"secret": [1]})
    assert rows_of_python.num_rows

    with pytest.raises(duckdb.Error):
        run({**task("SELECT 1", tmp_path), "sql": query})
    connection = connect(256 * 2**20, 20, str(tmp_path), 2**20)
    lock(connection)
    with pytest.raises(duckdb.Error):
        connection.execute(query)
    connection.close()


@pytest.mark.parametrize(
    "query",
    [
        "COPY (SELECT 1) TO '{folder}/attack'",
        "EXPLAIN ANALYZE COPY (SELECT 1) TO '{folder}/attack'",
        "ATTACH '{folder}/attack' AS attack",
        "EXPORT DATABASE '{folder}/attack'",
        "SELECT 1; COPY (SELECT 1) TO '{folder}/attack'",
        "CREATE TABLE attack AS SELECT 1",
        "CALL pragma_version()",
        "",
    ],
)
def test_sql_writes_nothing_to_the_temporary_folder(query: str, tmp_path: Path) -> None:
    connection = connect(256 * 2**20, 20, str(tmp_path), 2**20)
    lock(connection)
    with pytest.raises(duckdb.Error):
        refuse_all_but_a_select(connection, query.format(folder=tmp_path))
    refuse_all_but_a_select(connection, "EXPLAIN SELECT 1")
    refuse_all_but_a_select(connection, "WITH a AS (SELECT 1) SELECT * FROM a")
    connection.close()

    assert not (tmp_path / "attack").exists()


def test_a_file_without_rows_has_the_columns(tmp_path: Path) -> None:
    query = "SELECT user_id, count(*) AS n FROM interactions WHERE user_id = 'nobody' GROUP BY user_id"

    answer = run(task(query, tmp_path, form="parquet"))

    table = pq.read_table(io.BytesIO(base64.b64decode(answer["parquet"])))
    assert (answer["rows"], table.num_rows, table.column_names) == (0, 0, ["user_id", "n"])
    assert table.schema.types == [pa.string(), pa.int64()]


def in_process(message: dict[str, Any]) -> dict[str, Any]:
    """Return what the process of a query answers."""
    words = [sys.executable, "-m", "services.analytics.computations.query_process"]
    done = subprocess.run(words, input=orjson.dumps(message), capture_output=True, check=False)
    assert done.returncode == 0, done.stderr.decode()
    return dict(orjson.loads(done.stdout))


def test_a_query_that_needs_too_much_ends_with_a_sentence(tmp_path: Path) -> None:
    numbers = "UNNEST(sequence(1, 9000))"
    rows = f"SELECT DISTINCT a.x, b.x AS y FROM {numbers} AS a(x) CROSS JOIN {numbers} AS b(x)"

    of_memory = in_process(task(rows, tmp_path, memory_bytes=64 * 2**20, disk_bytes=0))
    of_disk = in_process(task(rows, tmp_path, memory_bytes=64 * 2**20, disk_bytes=2**20))
    of_time = in_process(task(rows, tmp_path, seconds=0.05))

    assert of_memory["kind"] == of_disk["kind"] == "OutOfMemoryException"
    assert of_disk["error"] == (
        "the query needs more than the 64 MiB of memory and 1 MiB on disk that it may use"
    )
    assert of_time["kind"] == "InterruptException"


def test_a_query_puts_on_disk_what_its_memory_cannot_hold(tmp_path: Path) -> None:
    numbers = "UNNEST(sequence(1, 2000))"
    rows = f"SELECT DISTINCT a.x, b.x AS y FROM {numbers} AS a(x) CROSS JOIN {numbers} AS b(x)"
    query = f"SELECT count(*) FROM ({rows})"
    (tmp_path / "spilled").mkdir()

    def answered(disk_bytes: int) -> dict[str, Any]:
        limits = {"memory_bytes": 64 * 2**20, "folder": str(tmp_path / "spilled"), "disk_bytes": disk_bytes}
        return in_process(task(query, tmp_path) | limits)

    assert answered(0)["kind"] == "OutOfMemoryException"
    assert answered(2**30)["rows"] == [[4_000_000]]


def test_rows_beyond_the_limit_are_left_out(tmp_path: Path) -> None:
    answer = run(task("SELECT item_id FROM interactions ORDER BY 1", tmp_path, rows=1))

    assert (answer["rows"], answer["truncated"]) == ([["i0"]], True)
