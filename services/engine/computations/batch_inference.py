"""Batch inference: for each input file write a file `<name>.out` with a line for each of its lines."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from services.engine.computations import computation, spark_inference
from services.engine.computations.batch_lines import input_files
from services.engine.computations.batch_scoring import BatchScorer, InferenceSpec
from services.engine.computations.computation import ReportProgress
from services.engine.domain.locations import INVALID_INPUT_PATH, INVALID_OUTPUT_PATH, Location
from services.engine.store.objects import Object, ObjectStorage

ScoreFile = Callable[[IO[bytes], IO[bytes]], tuple[int, int]]
"""Reads an input file, writes its output, returns the number of lines and of those with an error."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LineCounts(computation.Result):
    """The number of lines of all input files, and of those with an error."""

    lines: int
    errors: int


def run(spec: InferenceSpec, objects: ObjectStorage, workspace: Path, report: ReportProgress) -> LineCounts:
    """Score every input file.

    Raises Permanent when the model, the filter, the input or the output can't be used.
    """
    report("copy the model", 0.0)
    # Also needed when Spark scores: errors of the model or the filter then come before any output.
    scorer = BatchScorer.of(spec, objects, workspace)
    source = Location(spec.input_bucket, spec.input_key)
    output = Location(spec.output_bucket, spec.output_key)
    files = input_files(objects, source, output, INVALID_INPUT_PATH)
    total_bytes = sum(file.size for file, _ in files) or 1
    lines = errors = done_bytes = 0
    with _file_scorer(spec, scorer, workspace) as score_file:
        for file, key in files:
            file_lines, file_errors = _score_object(spec, file, key, score_file, objects, workspace)
            lines, errors = lines + file_lines, errors + file_errors
            done_bytes += file.size
            report("answer", 0.1 + 0.9 * done_bytes / total_bytes)
    return LineCounts(lines=lines, errors=errors)


@contextmanager
def _file_scorer(spec: InferenceSpec, scorer: BatchScorer, workspace: Path) -> Iterator[ScoreFile]:
    """Yield the function that scores a file: in this process, or on Spark executors."""
    if spec.spark_master is None:
        yield scorer.score_file
        return
    with spark_inference.file_scorer(spec, workspace) as score_file:
        yield score_file


def _score_object(
    spec: InferenceSpec,
    file: Object,
    key: str,
    score_file: ScoreFile,
    objects: ObjectStorage,
    workspace: Path,
) -> tuple[int, int]:
    path = workspace / "answers.out"
    with path.open("wb") as output:
        lines, errors = score_file(objects.read(file, INVALID_INPUT_PATH), output)
    objects.upload(path, spec.output_bucket, key, INVALID_OUTPUT_PATH)
    path.unlink()
    return lines, errors
