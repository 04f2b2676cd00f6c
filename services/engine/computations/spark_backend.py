"""Answers the lines of batch jobs on PySpark, in parallel."""

from __future__ import annotations

import atexit
import json
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from functools import lru_cache
from pathlib import Path
from typing import IO

import pyarrow as pa

from services.engine.computations import batch_inference
from services.engine.store.objects import Objects
from services.engine.training.distributed.spark import session
from shared.settings import S3Settings


@contextmanager
def answering(spec: batch_inference.Spec, workspace: Path) -> Iterator[batch_inference.Write]:
    """Answer files by executors, in one session for all of them."""

    def answered(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        answerer = _answerer(spec)
        for batch in batches:
            asked = [str(line).encode() for line in batch.column(0).to_pylist()]
            said = [line.decode() for line in answerer.answers(list(answerer.lines(asked)))]
            yield pa.record_batch([pa.array(said, pa.string())], names=["value"])

    with session(spec.spark_master or "local[*]", workspace) as running:

        def write(stream: IO[bytes], output: IO[bytes]) -> tuple[int, int]:
            given = workspace / "lines.json"
            with given.open("wb") as file:
                shutil.copyfileobj(stream, file)
            lines = errors = 0
            frame = running.read.text(str(given)).mapInArrow(answered, "value string")
            for row in frame.toLocalIterator(prefetchPartitions=True):
                output.write(row.value.encode())
                lines += 1
                errors += not row.value.endswith('"error":null}\n')
            return lines, errors

        yield write


@lru_cache(maxsize=1)
def _answerer_in(spec: str) -> batch_inference.Answerer:
    """An executor's own copy of the model, for as long as the executor lives."""
    folder = Path(tempfile.mkdtemp(prefix="endcap-spark-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return batch_inference.Answerer.of(
        batch_inference.Spec(**json.loads(spec)), Objects.of(S3Settings.of("engine")), folder
    )


def _answerer(spec: batch_inference.Spec) -> batch_inference.Answerer:
    return _answerer_in(json.dumps(asdict(spec), sort_keys=True))
