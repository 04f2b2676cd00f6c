"""SQL over a year of interactions in the event lake: time, processor time and memory of a query's process.

A million rows, or `ENDCAP_BENCH_LAKE_ROWS` of them, are written to a local Delta table as the lake writes
them: a file for each of 365 days.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import numpy.typing as npt
import orjson
import pyarrow as pa
import pyarrow.compute as pc
from deltalake import DeltaTable, write_deltalake

from services.analytics.domain.lake_schemas import SCHEMAS
from services.analytics.domain.sql import checked
from services.analytics.settings import Settings
from services.analytics.store.lake import PROPERTIES
from services.analytics.store.spill_folders import spill_folder
from tests.load.figures import Figure
from tests.support.analysis_queries import POPULARITY, PURCHASES
from tests.support.processes import ROOT

ROWS = int(os.environ.get("ENDCAP_BENCH_LAKE_ROWS", "1000000"))
DAYS, DAYS_OF_COMMIT = 365, 10
USERS, ITEMS = 500_000, 20_000
TYPES = ("view", "click", "add_to_cart", "purchase")
SHARES = (0.7, 0.15, 0.1, 0.05)
MAX_SECONDS = 600.0
"""More than the service allows: other work of the machine must not end the measurement."""
BEGIN = np.datetime64("2025-12-01")
SCHEMA = SCHEMAS["interactions"]
QUERIES = {
    "count(*)": "SELECT count(*) FROM interactions",
    "events per type": "SELECT event_type, count(*) FROM interactions GROUP BY event_type",
    "a day": "SELECT count(*) FROM interactions WHERE dt = '2026-05-01'",
    "purchases per user (AWS design)": PURCHASES,
    "popularity of items (AWS design)": POPULARITY,
}


def run() -> Iterator[Figure]:
    """Yield the figures of each query over `ROWS` rows."""
    yield from measure(ROWS)


def measure(size: int) -> Iterator[Figure]:
    """Yield the figures of each query over about `size` rows; raise RuntimeError if one fails."""
    with TemporaryDirectory(prefix="endcap-bench-") as folder:
        # The peak memory of a query's process would include that of this one, which starts it.
        with ProcessPoolExecutor(1, get_context("spawn")) as writer:
            rows = writer.submit(_write, Path(folder), size).result()
        for name, query in QUERIES.items():
            seconds, processor, megabytes, answer = _measured(query, folder)
            if "error" in answer:  # with the memory that the service allows
                raise RuntimeError(f"{name}: {answer['error'].splitlines()[0]}")
            yield Figure(
                f"{name}, {rows:,} rows",
                seconds,
                "s",
                f"{processor:.1f} s of CPU, {megabytes:,.0f} MiB at most",
                f"{Settings().sql_seconds:g} s",
                Settings().sql_seconds,
            )


def _write(folder: Path, size: int) -> int:
    """Write the rows of each day, as many as of the others; return the number of all."""
    random = np.random.default_rng(3)
    table = DeltaTable.create(str(folder), schema=SCHEMA, partition_by=["dt"], configuration=PROPERTIES)
    count = size // DAYS
    for begin in range(0, DAYS, DAYS_OF_COMMIT):
        days = range(begin, min(begin + DAYS_OF_COMMIT, DAYS))
        write_deltalake(table, pa.concat_tables([_rows(random, day, count) for day in days]), mode="append")
    return count * DAYS


def _rows(random: np.random.Generator, day: int, count: int) -> pa.Table:
    """Return the rows of a day. A few users and items have most of the events."""
    microseconds = np.sort(random.integers(0, 86_400_000_000, count)).astype("m8[us]")
    times = BEGIN + np.timedelta64(day, "D") + microseconds
    at = pa.array(times.astype("M8[us]")).cast(pa.timestamp("us", "UTC"))
    users = (USERS * random.random(count) ** 2).astype(int)
    items = (ITEMS * random.random(count) ** 3).astype(int)
    columns: dict[str, Any] = {
        "event_id": _texts(f"{day}-", np.arange(count)),
        "occurred_at": at,
        "received_at": at,
        "user_id": _texts("user-", users),
        "event_type": pa.array(TYPES).take(random.choice(len(TYPES), count, p=SHARES)),
        "item_id": _texts("item-", items),
        "source": pa.repeat("events", count),
        "historical": pa.repeat(False, count),
        "kafka_partition": users % 12,
        "kafka_offset": np.arange(day * count, (day + 1) * count),
        "dt": pa.repeat(str(BEGIN + np.timedelta64(day, "D")), count),
    }
    arrays = [
        _array(columns[field.name], field.type) if field.name in columns else pa.nulls(count, field.type)
        for field in SCHEMA
    ]
    return pa.Table.from_arrays(arrays, schema=SCHEMA)


def _texts(prefix: str, numbers: npt.NDArray[np.int64]) -> Any:
    join: Any = pc.binary_join_element_wise
    return join(pa.scalar(prefix), pa.array(numbers).cast(pa.string()), "")


def _array(values: Any, kind: pa.DataType) -> Any:
    return values if isinstance(values, pa.Array) else pa.array(values, kind)


def _measured(query: str, folder: str) -> tuple[float, float, float, dict[str, Any]]:
    """Run a query as the service does; return its seconds, CPU seconds, peak MiB and answer."""
    with spill_folder() as spilled:
        return _measured_in(query, folder, spilled)


def _measured_in(query: str, folder: str, spilled: str) -> tuple[float, float, float, dict[str, Any]]:
    settings = Settings()
    statement = checked(query, "trino")
    task = {
        "sql": statement.text,
        "views": sorted(statement.views),
        "tables": {"interactions": folder},
        "options": {},
        "catalogue": {},
        "rows": 1_000,
        "form": "json",
        "seconds": MAX_SECONDS,
        "memory_bytes": settings.sql_memory_megabytes * 2**20,
        "folder": spilled,
        "disk_bytes": settings.sql_disk_megabytes * 2**20,
    }
    words = [sys.executable, "-m", "services.analytics.computations.query_process"]
    began = time.perf_counter()
    with subprocess.Popen(words, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(orjson.dumps(task))
        process.stdin.close()
        answer = process.stdout.read()
        _, status, usage = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - began
        process.returncode = os.waitstatus_to_exitcode(status)
    return seconds, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024, orjson.loads(answer)
