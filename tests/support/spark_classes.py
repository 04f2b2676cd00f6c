"""A program that does with Spark what the engine does, on two rows, so that Java meets the classes for it.

    SPARK_SUBMIT_OPTS=-XX:ArchiveClassesAtExit=<file> python -m tests.support.spark_classes <folder>

Java writes the classes to the file when it ends (JEP 350), as `deploy/local/class_archive.py` has it write
those of Kafka. The tests of a session take 15 s of processor time with the archive, and 22 s without it.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from services.engine.training.distributed.spark import session


def _same(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    yield from batches


def _work(folder: Path) -> None:
    rows, lines = folder / "rows.parquet", folder / "lines.json"
    pq.write_table(pa.table({"USER_ID": ["a", "b"], "TIMESTAMP": [1, 2], "VALUE": [0.5, 1.5]}), rows)
    lines.write_text("{}\n")
    columns = ["CAST(USER_ID AS string) AS name", "CAST(TIMESTAMP AS int) AS number", "VALUE AS value"]
    with session("local[1]", folder) as spark:
        files = [spark.read.parquet(str(rows)).selectExpr(*columns) for _ in range(2)]
        frame = files[0].union(files[1]).where("name IS NOT NULL").repartition(2, "name").cache()
        frame.where("NOT isnan(value) AND abs(value) > 1").count()
        frame.select("name").distinct().collect()
        kind = "name string, number int, value double"
        frame.mapInArrow(_same, kind).groupBy("name", "number").sum("value").toArrow()
        for _ in spark.read.text(str(lines)).mapInArrow(_same, "value string").toLocalIterator():
            pass


if __name__ == "__main__":
    _work(Path(sys.argv[1]))
