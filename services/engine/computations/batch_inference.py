"""A batch inference: every line of the input files gets its line in a `.out` file of the same name."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from itertools import islice
from pathlib import Path
from typing import IO, Any

import numpy as np
import orjson

from services.engine.computations import newer_interactions
from services.engine.computations.batch_filters import Asked, Mask, Sieve, passes
from services.engine.computations.batch_lines import input_files, read_json
from services.engine.domain.locations import Location
from services.engine.store.objects import Object, Objects
from shared import folders, models
from shared.aws.personalize.exploration import Exploration
from shared.errors import Permanent
from shared.filters import Filter, FilterError
from shared.models import LaterEvents, Model
from shared.models.exploration import Bonus, eligible
from shared.models.traits import earlier_traits

INVALID_INPUT_PATH = "Invalid S3 input path."
INVALID_OUTPUT_PATH = "Invalid S3 output path."
LINES_AT_ONCE = 4096
MOST_RANKED = 500

Report = Callable[[str, float], None]
Write = Callable[[IO[bytes], IO[bytes]], tuple[int, int]]
"""Answers a file; gives how many lines it has, and how many of them are bad."""


@dataclass(frozen=True, slots=True)
class Spec:
    """Which model (a prefix of the data bucket and its fingerprint), what to ask, where to answer.

    `filter` is the expression of the job's filter, `influence` what counts beside an item's likeness.
    With `ranks` each line brings the items that are put into its user's order. `exploration` is the job's
    itemExplorationConfig, `seed` what its chance begins with: another attempt writes the same. With a
    `spark_master` Spark's executors answer.
    """

    model: str
    model_sha256: str
    input_bucket: str
    input_key: str
    output_bucket: str
    output_key: str
    results: int
    filter: str | None = None
    later: list[str] = field(default_factory=list)
    influence: dict[str, float] = field(default_factory=dict)
    ranks: bool = False
    exploration: dict[str, str] = field(default_factory=dict)
    seed: int = 0
    spark_master: str | None = None


@dataclass(frozen=True, slots=True)
class Line:
    """One line of the input: what to ask for, or why it can't be answered."""

    given: Any
    query: str | None
    error: str | None = None
    asked: Asked | None = None


def run(spec: Spec, objects: Objects, workspace: Path, report: Report) -> dict[str, Any]:
    """Answer every file; gives how many lines there were, and how many of them were bad."""
    report("copy the model", 0.0)
    # Also where others answer: what the model or the filter can't do is said before anything begins.
    answerer = Answerer.of(spec, objects, workspace)
    source = Location(spec.input_bucket, spec.input_key)
    output = Location(spec.output_bucket, spec.output_key)
    files = input_files(objects, source, output, INVALID_INPUT_PATH)
    total = sum(file.size for file, _ in files) or 1
    lines = errors = done = 0
    with _writing(spec, answerer, workspace) as write:
        for file, key in files:
            answered, bad = _answer_file(spec, file, key, write, objects, workspace)
            lines, errors, done = lines + answered, errors + bad, done + file.size
            report("answer", 0.1 + 0.9 * done / total)
    return {"lines": lines, "errors": errors, "warnings": []}


def _counts_later(spec: Spec, model: Model) -> bool:
    """Whether anything asks what users did after the training."""
    return model.scoring.kind == "user" or (
        spec.filter is not None and Filter.parse(spec.filter).needs_interactions
    )


def _bonus(spec: Spec, model: Model) -> Bonus | None:
    """What lifts young items, where the job asks for that and the recipe explores."""
    config = Exploration.of(spec.exploration)
    traits = model.traits or earlier_traits(model.recipe)
    if not spec.exploration or config.weight == 0 or not traits.explores:
        return None
    young = eligible(model, model.item_attributes.values("CREATION_TIMESTAMP"), config)
    met = model.popularity[young].astype(np.float64)
    return Bonus.of(young, met, config.weight, len(model.items), np.random.default_rng(spec.seed))


def fetch_model(prefix: str, sha256: str, objects: Objects, folder: Path) -> Model:
    """Copy a model folder, check that it is the one that was trained, and map it into memory."""
    for file in objects.below(objects.data_bucket, prefix):
        objects.download(file.bucket, file.key, folders.inside(folder, file.key.removeprefix(prefix)))
    if not folder.is_dir() or models.fingerprint(folder) != sha256:
        raise Permanent(
            f"The model in {prefix} is not the one that was trained: train a new solution version."
        )
    return models.load(folder)


@contextmanager
def _writing(spec: Spec, answerer: Answerer, workspace: Path) -> Iterator[Write]:
    """What answers a file: this process, or Spark's executors, each with an answerer of its own."""
    if spec.spark_master is None:
        yield answerer.write
        return
    # Half a gigabyte of libraries that only this backend needs.
    from services.engine.computations import spark_backend  # noqa: PLC0415

    with spark_backend.answering(spec, workspace) as write:
        yield write


def _answer_file(
    spec: Spec, file: Object, key: str, write: Write, objects: Objects, workspace: Path
) -> tuple[int, int]:
    path = workspace / "answers.out"
    with path.open("wb") as output:
        lines, errors = write(objects.read(file, INVALID_INPUT_PATH), output)
    objects.upload(path, spec.output_bucket, key, INVALID_OUTPUT_PATH)
    path.unlink()
    return lines, errors


@dataclass(frozen=True, slots=True)
class Answerer:
    """A model, how many items a line gets, and what is let through, added or lifted for all of them."""

    model: Model
    results: int
    sieve: Sieve | None = None
    newer: LaterEvents | None = None
    ranks: bool = False
    bonus: Bonus | None = None

    @classmethod
    def of(cls, spec: Spec, objects: Objects, workspace: Path) -> Answerer:
        """Copy all that a job's answers need."""
        model = fetch_model(spec.model, spec.model_sha256, objects, workspace / "model")
        model = replace(model, influence=spec.influence)
        since = (
            newer_interactions.read(spec.later, objects, workspace) if _counts_later(spec, model) else None
        )
        newer = (
            newer_interactions.of(since, model)
            if since is not None and model.scoring.kind == "user"
            else None
        )
        sieve = None
        if spec.filter is not None:
            index = newer_interactions.interaction_index_of(since, model) if since is not None else None
            sieve = Sieve(spec.filter, model, index)
        return cls(model, spec.results, sieve, newer, spec.ranks, _bonus(spec, model))

    def write(self, stream: IO[bytes], output: IO[bytes]) -> tuple[int, int]:
        """Answer a file; gives how many lines it has, and how many of them are bad."""
        lines = errors = 0
        parsed = self.lines(stream)
        while some := list(islice(parsed, LINES_AT_ONCE)):
            output.writelines(self.answers(some))
            lines += len(some)
            errors += sum(line.error is not None for line in some)
        return lines, errors

    def lines(self, stream: Iterable[bytes]) -> Iterator[Line]:
        """The lines of a file, without empty ones; what the filter can't take is an error in its line."""
        kind = self.model.scoring.kind
        member = "itemId" if kind == "item" else "userId"
        for raw in stream:
            if raw.strip():
                line = parse_line(raw, member, optional=kind == "popular")
                yield self._sifted(with_items(line) if self.ranks else line)

    def answers(self, lines: list[Line]) -> Iterator[bytes]:
        """The output lines, in the order of the input; bad lines stay in place with their error."""
        good = [line for line in lines if line.query is not None]
        found = iter(self._found(good))
        for line in lines:
            if line.query is None:
                yield _written(line.given, None, line.error)
                continue
            items, scores = next(found)
            output: dict[str, Any] = {"recommendedItems": items}
            if self.model.scoring.scored:
                output["scores"] = scores
            yield _written(line.given, output, None)

    def _sifted(self, line: Line) -> Line:
        if self.sieve is None or line.query is None:
            return line
        try:
            return replace(line, asked=self.sieve.asked(line.query, line.given))
        except FilterError as error:
            return Line(line.given, None, str(error))

    def _found(self, lines: list[Line]) -> Iterable[tuple[list[str], list[float]]]:
        """Items and scores of every line, in their order."""
        if self.ranks:
            return map(self._ranked, lines)
        if self.sieve is None:
            queries = [line.query for line in lines if line.query is not None]
            answered = self.model.recommend_many(queries, self.results, None, self.newer, self.bonus)
            return ((items, scores) for _, items, scores in answered)
        found: list[tuple[list[str], list[float]]] = [([], [])] * len(lines)
        for group in passes([line.asked for line in lines if line.asked is not None]):
            allowed = self._masks(group)
            answered = self.model.recommend_many(list(group), self.results, allowed, self.newer, self.bonus)
            for query, items, scores in answered:
                for place in group[query][1]:
                    found[place] = items, scores
        return found

    def _ranked(self, line: Line) -> tuple[list[str], list[float]]:
        """The line's own items in its user's order; what training never saw comes last, with 0."""
        given, numbers = list(dict.fromkeys(line.given["itemList"])), self.model.items.numbers
        if self.sieve is not None and line.asked is not None:
            mask = self.sieve.mask(line.asked)
            given = [item for item in given if item not in numbers or mask[numbers[item]]]
        user_id = line.query or ""
        ranked = dict(self.model.rank(user_id, self._since(user_id), given))
        scores = ranked | {item: 0.0 for item in given if item not in ranked}
        return list(scores), list(scores.values())

    def _since(self, user_id: str) -> list[tuple[str, str, int]]:
        """What a user did after the training."""
        user = None if self.newer is None else self.newer.users.find(user_id)
        if self.newer is None or user is None:
            return []
        ids, names = self.model.items.strings, self.model.scoring.event_types
        rows = self.newer.histories.table(user).tolist()
        return [(ids[item], names[kind], when) for item, kind, when in rows]

    def _masks(self, group: Mapping[str, tuple[Asked, list[int]]]) -> Callable[[str], Mask]:
        assert self.sieve is not None
        sieve = self.sieve
        return lambda query: sieve.mask(group[query][0])


def _written(given: Any, output: Any, error: str | None) -> bytes:
    document = {"input": given, "output": output, "error": error}
    return orjson.dumps(document, option=orjson.OPT_APPEND_NEWLINE)


def parse_line(raw: bytes, member: str, *, optional: bool = False) -> Line:
    """Read a line; `optional` for recipes that recommend the same to everybody."""
    given, error = read_json(raw)
    if error is not None:
        return Line(given, None, error)
    if not isinstance(given, dict):
        return Line(given, None, "The line is not a JSON object.")
    query = given.get(member)
    if query is None and optional:
        return Line(given, "")
    if not isinstance(query, str) or not 0 < len(query) <= 256:
        return Line(given, None, f"The line needs {member}: 1 to 256 characters, as text.")
    return Line(given, query)


def with_items(line: Line) -> Line:
    """The line, or why it brings no items to rank."""
    if line.query is None:
        return line
    items = line.given.get("itemList")
    if isinstance(items, list) and 0 < len(items) <= MOST_RANKED and all(map(_is_id, items)):
        return line
    return Line(
        line.given, None, f"The line needs an itemList of 1 to {MOST_RANKED} ids of 1 to 256 characters each."
    )


def _is_id(value: Any) -> bool:
    return isinstance(value, str) and 0 < len(value) <= 256
