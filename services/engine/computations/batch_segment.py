"""Batch segments: for each input line, the users with the highest affinity to its items."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import IO, Any

import numpy as np
import orjson
from numpy.typing import NDArray

from services.engine.computations import model_folders
from services.engine.computations.batch_filters import Mask, UserFilter
from services.engine.computations.batch_inference import LineCounts
from services.engine.computations.batch_lines import input_files, read_json
from services.engine.computations.computation import ReportProgress
from services.engine.domain.locations import INVALID_INPUT_PATH, INVALID_OUTPUT_PATH, Location
from services.engine.store.objects import Object, ObjectStorage
from services.engine.training.methods import user_segments
from services.engine.training.recipes import segment_attribute_affinity
from services.engine.training.recipes.segment_attribute_affinity import ItemsByAttribute
from shared.errors import Permanent
from shared.models import Model

LINES_AT_ONCE = 500
"""Lines that are answered together; arbitrary."""

MASK_BYTES_AT_ONCE = 1 << 27
"""Memory for masks of users (a byte a user) when each line has a mask of its own."""

_CONDITION = re.compile(
    r"""\s*ITEMS\s*\.\s*(?P<column>[A-Za-z_]\w*)\s*=\s*
    (?:"(?P<double>(?:[^"\\]|\\.)*)"|'(?P<single>(?:[^'\\]|\\.)*)'|(?P<number>[-+]?[0-9][0-9.eE+-]*))\s*""",
    re.IGNORECASE | re.VERBOSE | re.DOTALL,
)
_AND = re.compile(r"AND\b", re.IGNORECASE)
_ESCAPED = re.compile(r"\\(.)", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Spec:
    """A model (a prefix of the data bucket and its fingerprint), and the input and output of the job.

    `deleted` are the ids of users that were deleted since the training, `filter` is the expression of the
    job's filter.
    """

    model: str
    model_sha256: str
    input_bucket: str
    input_key: str
    output_bucket: str
    output_key: str
    results: int
    deleted: list[str]
    filter: str | None = None


@dataclass(frozen=True, slots=True)
class Line:
    """A line of the input: its JSON value, and the item indices and allowed users, or the error."""

    value: Any
    items: NDArray[np.int64] | None = None
    error: str | None = None
    allowed: Mask | None = None


def run(spec: Spec, objects: ObjectStorage, workspace: Path, report: ReportProgress) -> LineCounts:
    """Answer every input file.

    Raises Permanent when the model, the filter, the input or the output can't be used.
    """
    report("copy the model", 0.0)
    model = model_folders.download(spec.model, spec.model_sha256, objects, workspace / "model")
    source = Location(spec.input_bucket, spec.input_key)
    output = Location(spec.output_bucket, spec.output_key)
    files = input_files(objects, source, output, INVALID_INPUT_PATH)
    segments, lines, errors = SegmentFinder(model, spec.deleted, spec.filter), 0, 0
    for number, (file, key) in enumerate(files):
        report("answer", 0.1 + 0.9 * number / len(files))
        file_lines, file_errors = _answer_file(spec, file, key, segments, objects, workspace)
        lines, errors = lines + file_lines, errors + file_errors
    return LineCounts(lines=lines, errors=errors)


def _answer_file(
    spec: Spec, file: Object, key: str, segments: SegmentFinder, objects: ObjectStorage, workspace: Path
) -> tuple[int, int]:
    path = workspace / "segments.out"
    lines = errors = 0
    with path.open("wb") as output:
        parsed = segments.lines(objects.read(file, INVALID_INPUT_PATH))
        lines_at_once = segments.lines_at_once(spec.results)
        while chunk := list(islice(parsed, lines_at_once)):
            output.writelines(segments.output_lines(chunk, spec.results))
            lines += len(chunk)
            errors += sum(line.error is not None for line in chunk)
    objects.upload(path, spec.output_bucket, key, INVALID_OUTPUT_PATH)
    path.unlink()
    return lines, errors


class SegmentFinder:
    """Parses the lines that the recipe of a model expects, and finds the users of their segments."""

    def __init__(self, model: Model, deleted: Sequence[str] = (), expression: str | None = None) -> None:
        """Use a model; segments contain no user whose id is in `deleted`, or whom the filter excludes.

        Raises Permanent when the model lacks data that the filter needs.
        """
        self.model = model
        self._present = np.ones(len(model.users), bool)
        known = model.users.find_all(deleted)
        self._present[known[known >= 0]] = False
        self._filter = UserFilter(expression, model, self._present) if expression is not None else None
        self._items_by_attribute = ItemsByAttribute(model)
        self._by_attributes = model.recipe == segment_attribute_affinity.NAME

    def lines_at_once(self, results: int) -> int:
        """Return how many lines to answer together; a filter with parameters needs a mask for each line."""
        masks = LINES_AT_ONCE
        if self._filter is not None and self._filter.has_parameters:
            masks = MASK_BYTES_AT_ONCE // max(len(self.model.users), 1)
        return max(1, min(LINES_AT_ONCE, masks, user_segments.segments_per_pass(self.model, results)))

    def output_lines(self, lines: list[Line], results: int) -> Iterator[bytes]:
        """Yield the output lines in the order of the input; a line with an error stays in its place."""
        targets = [line.items for line in lines if line.items is not None]
        masks = [
            self._present if line.allowed is None else line.allowed
            for line in lines
            if line.items is not None
        ]
        user_indices = iter(user_segments.user_segments(self.model, targets, results, masks))
        users = self.model.users.strings
        for line in lines:
            output = None
            if line.items is not None:
                output = {"usersList": [users[user] for user in next(user_indices).tolist()]}
            document = {"input": line.value, "output": output, "error": line.error}
            yield orjson.dumps(document, option=orjson.OPT_APPEND_NEWLINE)

    def lines(self, stream: IO[bytes]) -> Iterator[Line]:
        """Yield the lines of a file that are not blank."""
        for raw in stream:
            if raw.strip():
                yield self.parse(raw)

    def parse(self, raw: bytes) -> Line:
        """Parse one line; an invalid one has an error."""
        value, error = read_json(raw)
        if error is not None:
            return Line(value, error=error)
        try:
            items = self._items(value)
            return Line(value, items, allowed=None if self._filter is None else self._filter.mask(value))
        except Permanent as error:
            return Line(value, error=str(error))

    def _items(self, value: Any) -> NDArray[np.int64]:
        if not isinstance(value, dict):
            raise Permanent("The line is not a JSON object.")
        member = "itemAttributes" if self._by_attributes else "itemId"
        query = value.get(member)
        if not isinstance(query, str) or not query:
            raise Permanent(f"The line needs {member}, as text.")
        if self._by_attributes:
            indices = self._items_by_attribute.matching(conditions(query))
            if not len(indices):
                raise Permanent(f"No item matches {query}.")
            return indices
        index = self.model.items.find(query)
        if index is None:
            raise Permanent(f"There is no item {query} in the data that the version was trained on.")
        return np.array([index])


def conditions(text: str) -> list[tuple[str, str]]:
    """Parse `ITEMS.genre = "Comedy" AND ITEMS.brand = "X"` into pairs (column, value).

    Raises Permanent with the position of an error.
    """
    pairs = []
    position = 0
    while True:
        match = _CONDITION.match(text, position)
        if match is None:
            raise Permanent(
                f'itemAttributes: expected ITEMS.<column> = "<value>" at character {position + 1}, '
                f"found {text[position : position + 20]!r}."
            )
        quoted = match["double"] if match["double"] is not None else match["single"]
        value = match["number"] if quoted is None else _ESCAPED.sub(r"\1", quoted)
        pairs.append((match["column"], value))
        position = match.end()
        if position == len(text):
            return pairs
        conjunction = _AND.match(text, position)
        if conjunction is None:
            raise Permanent(
                f"itemAttributes: expected AND at character {position + 1}, "
                f"found {text[position : position + 20]!r}; "
                "conditions are joined by AND alone."
            )
        position = conjunction.end()
