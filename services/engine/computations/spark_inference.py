"""Batch inference on Spark: executors score lines in parallel, each with a copy of the model."""

from __future__ import annotations

import atexit
import json
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from functools import lru_cache
from pathlib import Path
from typing import IO

import pyarrow as pa

from services.engine.computations.batch_scoring import BatchScorer, InferenceSpec
from services.engine.store.objects import ObjectStorage
from services.engine.training.distributed.spark import session
from shared.settings import S3Settings


@contextmanager
def file_scorer(
    spec: InferenceSpec, workspace: Path
) -> Iterator[Callable[[IO[bytes], IO[bytes]], tuple[int, int]]]:
    """Yield a function that scores a file on executors, in one session for all files.

    The function returns the number of lines, and of those with an error. Raises Permanent when PySpark is not
    installed.
    """

    def output_lines(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        scorer = _executor_scorer(spec)
        for batch in batches:
            raw_lines = [str(line).encode() for line in batch.column(0).to_pylist()]
            outputs = [line.decode() for line in scorer.score(list(scorer.lines(raw_lines)))]
            yield pa.record_batch([pa.array(outputs, pa.string())], names=["value"])

    with session(spec.spark_master or "local[*]", workspace) as running:

        def score_file(stream: IO[bytes], output: IO[bytes]) -> tuple[int, int]:
            input_path = workspace / "lines.json"
            with input_path.open("wb") as file:
                shutil.copyfileobj(stream, file)
            lines = errors = 0
            frame = running.read.text(str(input_path)).mapInArrow(output_lines, "value string")
            for row in frame.toLocalIterator(prefetchPartitions=True):
                output.write(row.value.encode())
                lines += 1
                errors += not row.value.endswith('"error":null}\n')
            return lines, errors

        yield score_file


def _executor_scorer(spec: InferenceSpec) -> BatchScorer:
    return _cached_scorer(json.dumps(asdict(spec), sort_keys=True))


@lru_cache(maxsize=1)
def _cached_scorer(spec_json: str) -> BatchScorer:
    """Return an executor's own copy of the model, for as long as the executor lives."""
    folder = Path(tempfile.mkdtemp(prefix="endcap-spark-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    objects = ObjectStorage.of(S3Settings.of("engine"))
    return BatchScorer.of(InferenceSpec(**json.loads(spec_json)), objects, folder)
