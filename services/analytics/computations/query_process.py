"""Run one query in a process of its own, with limits of memory, time and files: `python -m` this module.

The task is JSON on standard input, the answer JSON on standard output. DuckDB runs SQL of strangers without
access to the network, extensions or settings; it reads the tables that this process registered. It writes
what exceeds its memory to the folder of the task, and SQL can't write there: one SELECT is all that runs.
"""

from __future__ import annotations

import base64
import ctypes
import json
import math
import resource
import signal
import sys
import time
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any, Final

import duckdb
import orjson
import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq
from deltalake import DeltaTable
from deltalake.exceptions import TableNotFoundError

from services.analytics.domain.athena_values import text_of
from services.analytics.domain.lake_schemas import SCHEMAS
from services.analytics.domain.views import CATALOGUE_SCHEMAS, SOURCES, VIEW_QUERIES

_PR_SET_PDEATHSIG: Final = 1
"""Of prctl(2)."""
_OVERHEAD_BYTES: Final = 3 * 2**30
"""Address space of Python, Arrow and threads beside DuckDB's memory; measured 1.2 GB."""


def main() -> int:
    """Run the task of standard input; return the exit code."""
    _end_with_parent()
    task = orjson.loads(sys.stdin.buffer.read())
    _limit(task["memory_bytes"], task["seconds"], task["disk_bytes"])
    try:
        answer = run(task)
    except (duckdb.OutOfMemoryException, MemoryError, pa.ArrowMemoryError):
        memory, disk = task["memory_bytes"] // 2**20, task["disk_bytes"] // 2**20
        sentence = (
            f"the query needs more than the {memory:,} MiB of memory and {disk:,} MiB on disk that it may use"
        )
        answer = {"error": sentence, "kind": "OutOfMemoryException"}
    except duckdb.Error as error:
        answer = {"error": _sentence(error), "kind": type(error).__name__}
    sys.stdout.buffer.write(orjson.dumps(answer, default=_plain, option=orjson.OPT_NON_STR_KEYS))
    return 0


def run(task: dict[str, Any]) -> dict[str, Any]:
    """Return columns and rows of a task's query, at most `rows` of them.

    The `form` of the rows is json, texts (as Athena writes cells) or parquet (a file, in base64). The form
    columns returns the columns of the views instead.
    """
    connection = connect(task["memory_bytes"], task["seconds"], task["folder"], task["disk_bytes"])
    register(connection, task["views"], task["tables"], task["options"], task["catalogue"])
    lock(connection)
    if task["form"] == "columns":
        return {"views": {view: _columns_of(connection, view) for view in task["views"]}}
    refuse_all_but_a_select(connection, task["sql"])
    started = time.perf_counter()
    answer = _file(connection, task) if task["form"] == "parquet" else _rows(connection, task)
    return answer | {"seconds": time.perf_counter() - started}


def _rows(connection: duckdb.DuckDBPyConnection, task: dict[str, Any]) -> dict[str, Any]:
    result = connection.execute(task["sql"])
    columns = [{"name": column[0], "type": str(column[1])} for column in result.description or []]
    rows = result.fetchmany(task["rows"] + 1)
    cell_of = text_of if task["form"] == "texts" else _plain_cell
    shown = [[cell_of(cell) for cell in row] for row in rows[: task["rows"]]]
    return {"columns": columns, "rows": shown, "truncated": len(rows) > task["rows"]}


def _file(connection: duckdb.DuckDBPyConnection, task: dict[str, Any]) -> dict[str, Any]:
    """Return all rows as a Parquet file, which has the columns also without rows."""
    relation = connection.sql(task["sql"])
    columns = [
        {"name": name, "type": str(kind)} for name, kind in zip(relation.columns, relation.types, strict=True)
    ]
    table = relation.to_arrow_table()
    is_too_large = table.num_rows > task["rows"]
    content = b"" if is_too_large else _parquet(table)
    return {
        "columns": columns,
        "parquet": base64.b64encode(content).decode(),
        "rows": table.num_rows,
        "truncated": is_too_large,
    }


def _columns_of(connection: duckdb.DuckDBPyConnection, view: str) -> list[dict[str, str]]:
    rows = connection.execute(f"DESCRIBE {view}").fetchall()
    return [{"name": row[0], "type": row[1]} for row in rows]


def _parquet(table: pa.Table) -> bytes:
    """Return a Parquet file of a table; times are in microseconds, which all readers know."""
    sink = pa.BufferOutputStream()
    pq.write_table(table, sink, compression="snappy", coerce_timestamps="us", allow_truncated_timestamps=True)
    return bytes(sink.getvalue())


def connect(memory_bytes: int, seconds: float, folder: str, disk_bytes: int) -> duckdb.DuckDBPyConnection:
    """Return a connection to an empty database in memory, which may put `disk_bytes` into a folder."""
    connection = duckdb.connect(
        ":memory:",
        config={
            "memory_limit": f"{memory_bytes // 2**20}MiB",
            "threads": 2,
            "temp_directory": folder if disk_bytes else "",
            "max_temp_directory_size": f"{disk_bytes // 2**10}KiB",
            "autoinstall_known_extensions": False,
            "autoload_known_extensions": False,
            "allow_community_extensions": False,
            "python_enable_replacements": False,
        },
    )
    connection.execute("SET integer_division = true")  # 5 / 2 is 2 in Trino
    connection.execute("SET TimeZone = 'UTC'")
    connection.execute(f"SET max_execution_time = {int(seconds * 1000)}")
    return connection


def lock(connection: duckdb.DuckDBPyConnection) -> None:
    """Take all access to files but those of the temporary folder, and to settings, from a connection."""
    connection.execute("SET enable_external_access = false")
    connection.execute("SET lock_configuration = true")


def refuse_all_but_a_select(connection: duckdb.DuckDBPyConnection, text: str) -> None:
    """Raise duckdb.PermissionException unless DuckDB itself reads one SELECT, or EXPLAIN of one.

    COPY and ATTACH could write to the temporary folder.
    """
    statements = connection.extract_statements(text.removeprefix("EXPLAIN "))
    if [statement.type for statement in statements] != [duckdb.StatementType.SELECT]:
        raise duckdb.PermissionException("a query is one SELECT")


def register(
    connection: duckdb.DuckDBPyConnection,
    views: list[str],
    tables: dict[str, str],
    options: dict[str, str],
    catalogue: dict[str, list[list[Any]]],
) -> None:
    """Define the views, over Delta tables at the addresses `tables` and rows of the catalogue."""
    for view in views:
        source = SOURCES[view]
        if source in CATALOGUE_SCHEMAS:
            schema = CATALOGUE_SCHEMAS[source]
            columns = list(zip(*catalogue[source], strict=True)) or [()] * len(schema)
            arrays = [
                pa.array(
                    [_time(cell) if pa.types.is_timestamp(kind.type) else cell for cell in column], kind.type
                )
                for kind, column in zip(schema, columns, strict=True)
            ]
            connection.register(f"source_{source}", pa.Table.from_arrays(arrays, schema=schema))
        else:
            connection.register(f"source_{source}", _dataset(source, tables.get(source, ""), options))
        connection.execute(f"CREATE OR REPLACE VIEW {view} AS {VIEW_QUERIES[view]}")


def _dataset(name: str, uri: str, options: dict[str, str]) -> ds.Dataset | pa.Table:
    if not uri:
        return SCHEMAS[name].empty_table()
    try:
        return DeltaTable(uri, storage_options=options or None).to_pyarrow_dataset()
    except TableNotFoundError:
        return SCHEMAS[name].empty_table()


def _time(value: str | None) -> datetime | None:
    return None if value is None else datetime.fromisoformat(value)


def _end_with_parent() -> None:
    """Have the kernel kill this process when the one that started it dies: nobody waits for the answer."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def _limit(memory_bytes: int, seconds: float, disk_bytes: int) -> None:
    """Limit address space, processor time and files of this process; it can't raise them again."""
    for limit, most in (
        (resource.RLIMIT_AS, memory_bytes + _OVERHEAD_BYTES),
        (resource.RLIMIT_CPU, math.ceil(seconds * 4) + 10),
        (resource.RLIMIT_FSIZE, disk_bytes),
        (resource.RLIMIT_CORE, 0),
    ):
        resource.setrlimit(limit, (most, most))


def _plain_cell(cell: Any) -> Any:
    """Return a value as JSON can hold it, with exact decimals and large integers as text."""
    if isinstance(cell, bool) or cell is None or isinstance(cell, str):
        return cell
    if isinstance(cell, int):
        return cell if abs(cell) < 2**63 else str(cell)
    if isinstance(cell, float):
        return cell if math.isfinite(cell) else str(cell)
    if isinstance(cell, (list, tuple)):
        return [_plain_cell(each) for each in cell]
    if isinstance(cell, dict):
        return {str(key): _plain_cell(value) for key, value in cell.items()}
    return _plain(cell)


def _plain(value: Any) -> Any:
    if isinstance(value, Decimal):
        return format(value, "f")
    if isinstance(value, (datetime, date)):
        return value.isoformat()
    if isinstance(value, timedelta):
        return value.total_seconds()
    if isinstance(value, (bytes, bytearray, memoryview)):
        return bytes(value).hex()
    return str(value)


def _sentence(error: Exception) -> str:
    """Return DuckDB's message without the statement that it repeats."""
    text = str(error).split("\n\nLINE", 1)[0].strip()
    try:
        return str(json.loads(text).get("exception_message", text))
    except (ValueError, AttributeError):
        return text


if __name__ == "__main__":
    sys.exit(main())
