"""A batch segment job: every line of the input gets the users with the most affinity to what it names."""

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

from services.engine.computations.batch_filters import Mask, UserSieve
from services.engine.computations.batch_inference import (
    INVALID_INPUT_PATH,
    INVALID_OUTPUT_PATH,
    Report,
    fetch_model,
)
from services.engine.computations.batch_lines import input_files, read_json
from services.engine.domain.locations import Location
from services.engine.store.objects import Object, Objects
from services.engine.training.methods import user_segments
from services.engine.training.recipes import segment_attribute_affinity
from services.engine.training.recipes.segment_attribute_affinity import ItemsByAttribute
from shared.errors import Permanent
from shared.models import Model

LINES_AT_ONCE = 500
MASK_BYTES_AT_ONCE = 1 << 27

_CONDITION = re.compile(
    r"""\s*ITEMS\s*\.\s*(?P<column>[A-Za-z_]\w*)\s*=\s*
    (?:"(?P<double>(?:[^"\\]|\\.)*)"|'(?P<single>(?:[^'\\]|\\.)*)'|(?P<number>[-+]?[0-9][0-9.eE+-]*))\s*""",
    re.IGNORECASE | re.VERBOSE | re.DOTALL,
)
_AND = re.compile(r"AND\b", re.IGNORECASE)
_ESCAPED = re.compile(r"\\(.)", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Spec:
    """Which model (a prefix of the data bucket and its fingerprint), what to ask, where to answer.

    `erased` are users that the model knows and that were deleted since, `filter` is the expression of the
    job's filter.
    """

    model: str
    model_sha256: str
    input_bucket: str
    input_key: str
    output_bucket: str
    output_key: str
    results: int
    erased: list[str]
    filter: str | None = None


@dataclass(frozen=True, slots=True)
class Line:
    """One line of the input: the items whose users it asks for, of which users, or what is wrong."""

    given: Any
    items: NDArray[np.int64] | None = None
    error: str | None = None
    allowed: Mask | None = None


def run(spec: Spec, objects: Objects, workspace: Path, report: Report) -> dict[str, Any]:
    """Answer every file; gives how many lines there were, and how many of them were bad."""
    report("copy the model", 0.0)
    model = fetch_model(spec.model, spec.model_sha256, objects, workspace / "model")
    source = Location(spec.input_bucket, spec.input_key)
    output = Location(spec.output_bucket, spec.output_key)
    files = input_files(objects, source, output, INVALID_INPUT_PATH)
    reader, lines, errors = Reader(model, spec.erased, spec.filter), 0, 0
    for number, (file, key) in enumerate(files):
        report("answer", 0.1 + 0.9 * number / len(files))
        answered, bad = _answer_file(spec, file, key, reader, objects, workspace)
        lines, errors = lines + answered, errors + bad
    return {"lines": lines, "errors": errors, "warnings": []}


def _answer_file(
    spec: Spec, file: Object, key: str, reader: Reader, objects: Objects, workspace: Path
) -> tuple[int, int]:
    path = workspace / "segments.out"
    lines = errors = 0
    with path.open("wb") as output:
        parsed = reader.lines(objects.read(file, INVALID_INPUT_PATH))
        at_once = reader.at_once(spec.results)
        while some := list(islice(parsed, at_once)):
            output.writelines(reader.answers(some, spec.results))
            lines += len(some)
            errors += sum(line.error is not None for line in some)
    objects.upload(path, spec.output_bucket, key, INVALID_OUTPUT_PATH)
    path.unlink()
    return lines, errors


class Reader:
    """Reads the lines that a model's recipe asks for, and answers them."""

    def __init__(self, model: Model, erased: Sequence[str] = (), expression: str | None = None) -> None:
        """For the items of this model, and its users but for the erased ones and what a filter bars."""
        self.model = model
        self._present = np.ones(len(model.users), bool)
        known = model.users.find_all(erased)
        self._present[known[known >= 0]] = False
        self._sieve = UserSieve(expression, model, self._present) if expression is not None else None
        self._kinds = ItemsByAttribute(model)
        self._by_attributes = model.recipe == segment_attribute_affinity.NAME

    def at_once(self, results: int) -> int:
        """How many lines to answer together; with values of its own a line has a mask of its own."""
        masks = LINES_AT_ONCE
        if self._sieve is not None and self._sieve.varies:
            masks = MASK_BYTES_AT_ONCE // max(len(self.model.users), 1)
        return max(1, min(LINES_AT_ONCE, masks, user_segments.segments_per_pass(self.model, results)))

    def answers(self, lines: list[Line], results: int) -> Iterator[bytes]:
        """The output lines, in the order of the input; bad lines stay in place with their error."""
        asked = [line.items for line in lines if line.items is not None]
        masks = [
            self._present if line.allowed is None else line.allowed
            for line in lines
            if line.items is not None
        ]
        found = iter(user_segments.user_segments(self.model, asked, results, masks))
        users = self.model.users.strings
        for line in lines:
            output = None
            if line.items is not None:
                output = {"usersList": [users[user] for user in next(found).tolist()]}
            document = {"input": line.given, "output": output, "error": line.error}
            yield orjson.dumps(document, option=orjson.OPT_APPEND_NEWLINE)

    def lines(self, stream: IO[bytes]) -> Iterator[Line]:
        """The lines of a file that are not blank."""
        for raw in stream:
            if raw.strip():
                yield self.line(raw)

    def line(self, raw: bytes) -> Line:
        """One line; the error of a bad one says what is wrong."""
        given, error = read_json(raw)
        if error is not None:
            return Line(given, error=error)
        try:
            items = self._items(given)
            return Line(given, items, allowed=None if self._sieve is None else self._sieve.mask(given))
        except Permanent as error:
            return Line(given, error=str(error))

    def _items(self, given: Any) -> NDArray[np.int64]:
        if not isinstance(given, dict):
            raise Permanent("The line is not a JSON object.")
        member = "itemAttributes" if self._by_attributes else "itemId"
        asked = given.get(member)
        if not isinstance(asked, str) or not asked:
            raise Permanent(f"The line needs {member}, as text.")
        if self._by_attributes:
            found = self._kinds.matching(conditions(asked))
            if not len(found):
                raise Permanent(f"No item matches {asked}.")
            return found
        number = self.model.items.find(asked)
        if number is None:
            raise Permanent(f"There is no item {asked} in the data that the version was trained on.")
        return np.array([number])


def conditions(text: str) -> list[tuple[str, str]]:
    """`ITEMS.genre = "Comedy" AND ITEMS.brand = "X"` as (column, value) pairs; Permanent points at errors."""
    found = []
    place = 0
    while True:
        match = _CONDITION.match(text, place)
        if match is None:
            raise Permanent(
                f'itemAttributes: expected ITEMS.<column> = "<value>" at character {place + 1}, '
                f"found {text[place : place + 20]!r}."
            )
        quoted = match["double"] if match["double"] is not None else match["single"]
        value = match["number"] if quoted is None else _ESCAPED.sub(r"\1", quoted)
        found.append((match["column"], value))
        place = match.end()
        if place == len(text):
            return found
        also = _AND.match(text, place)
        if also is None:
            raise Permanent(
                f"itemAttributes: expected AND at character {place + 1}, found {text[place : place + 20]!r}; "
                "conditions are joined by AND alone."
            )
        place = also.end()
