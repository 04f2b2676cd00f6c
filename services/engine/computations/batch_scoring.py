"""Scoring the input lines of a batch inference with a model: from a line of JSON to a line of JSON."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from itertools import islice
from pathlib import Path
from typing import IO, Any

import numpy as np
import orjson

from services.engine.computations import later_events, model_folders
from services.engine.computations.batch_filters import FilterRequest, ItemFilter, Mask, group_by_query
from services.engine.computations.batch_lines import read_json
from services.engine.store.objects import ObjectStorage
from shared.aws.personalize.exploration import Exploration
from shared.filters import Filter, FilterError
from shared.models import LaterEvents, Model
from shared.models.exploration import Bonus, eligible
from shared.models.traits import earlier_traits

LINES_AT_ONCE = 4096
"""Lines that a model scores together; more do not make it faster."""

MAX_RANKED_ITEMS = 500
"""Of a line of a ranking recipe: a limit of Amazon Personalize."""

MAX_ID_CHARACTERS = 256


@dataclass(frozen=True, slots=True)
class InferenceSpec:
    """A batch inference: a model (a prefix of the data bucket and its fingerprint), its input and output.

    `filter` is the expression of the job's filter, `later` are objects with interactions imported since the
    training, `influence` is the job's rankingInfluence. With `ranks` each line has items to rank for its
    user. `exploration` is the job's itemExplorationConfig, `seed` the seed of its random choices, so that a
    retry writes the same. With a `spark_master` Spark executors score.
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
    """A line of the input: its JSON value, and the query to score or the error that the output states."""

    value: Any
    query: str | None
    error: str | None = None
    filter_request: FilterRequest | None = None


@dataclass(frozen=True, slots=True)
class BatchScorer:
    """A model with the filter, the later events and the exploration bonus of one job."""

    model: Model
    results: int
    filter: ItemFilter | None = None
    later: LaterEvents | None = None
    ranks: bool = False
    bonus: Bonus | None = None

    @classmethod
    def of(cls, spec: InferenceSpec, objects: ObjectStorage, workspace: Path) -> BatchScorer:
        """Download the model and the later interactions, and bind the filter.

        Raises Permanent when the model lacks data that the filter needs.
        """
        model = model_folders.download(spec.model, spec.model_sha256, objects, workspace / "model")
        model = replace(model, influence=spec.influence)
        later = later_events.read(spec.later, objects, workspace) if _uses_later(spec, model) else None
        scores_users = model.scoring.kind == "user"
        events = later_events.from_dataset(later, model) if later is not None and scores_users else None
        item_filter = None
        if spec.filter is not None:
            index = None if later is None else later_events.interaction_index(later, model)
            item_filter = ItemFilter(spec.filter, model, index)
        return cls(model, spec.results, item_filter, events, spec.ranks, _exploration_bonus(spec, model))

    def score_file(self, stream: IO[bytes], output: IO[bytes]) -> tuple[int, int]:
        """Score a file; return the number of its lines, and of those with an error."""
        lines = errors = 0
        parsed = self.lines(stream)
        while chunk := list(islice(parsed, LINES_AT_ONCE)):
            output.writelines(self.score(chunk))
            lines += len(chunk)
            errors += sum(line.error is not None for line in chunk)
        return lines, errors

    def lines(self, stream: Iterable[bytes]) -> Iterator[Line]:
        """Yield the lines of a file that are not blank, parsed; values that the filter refuses are errors."""
        kind = self.model.scoring.kind
        member = "itemId" if kind == "item" else "userId"
        for raw in stream:
            if raw.strip():
                line = parse_line(raw, member, optional=kind == "popular")
                yield self._with_filter_request(check_items(line) if self.ranks else line)

    def score(self, lines: list[Line]) -> Iterator[bytes]:
        """Yield the output lines in the order of the input; a line with an error stays in its place."""
        valid = [line for line in lines if line.query is not None]
        scored = iter(self._scored(valid))
        for line in lines:
            if line.query is None:
                yield _output_line(line.value, None, line.error)
                continue
            items, scores = next(scored)
            output: dict[str, Any] = {"recommendedItems": items}
            if self.model.scoring.scored:
                output["scores"] = scores
            yield _output_line(line.value, output, None)

    def _with_filter_request(self, line: Line) -> Line:
        if self.filter is None or line.query is None:
            return line
        try:
            return replace(line, filter_request=self.filter.request(line.query, line.value))
        except FilterError as error:
            return Line(line.value, None, str(error))

    def _scored(self, lines: list[Line]) -> Iterable[tuple[list[str], list[float]]]:
        """Return the items and scores of every line, in their order."""
        if self.ranks:
            return map(self._ranked, lines)
        if self.filter is None:
            queries = [line.query for line in lines if line.query is not None]
            scored = self.model.recommend_many(queries, self.results, None, self.later, self.bonus)
            return ((items, scores) for _, items, scores in scored)
        results: list[tuple[list[str], list[float]]] = [([], [])] * len(lines)
        requests = [line.filter_request for line in lines if line.filter_request is not None]
        for group in group_by_query(requests):
            allowed = self._masks(group)
            scored = self.model.recommend_many(list(group), self.results, allowed, self.later, self.bonus)
            for query, items, scores in scored:
                for index in group[query][1]:
                    results[index] = items, scores
        return results

    def _ranked(self, line: Line) -> tuple[list[str], list[float]]:
        """Return the items of the line in the user's order; items unknown to the model come last, with 0."""
        items, index_of = list(dict.fromkeys(line.value["itemList"])), self.model.items.numbers
        if self.filter is not None and line.filter_request is not None:
            mask = self.filter.mask(line.filter_request)
            items = [item for item in items if item not in index_of or mask[index_of[item]]]
        user_id = line.query or ""
        ranked = dict(self.model.rank(user_id, self._later_events(user_id), items))
        scores = ranked | {item: 0.0 for item in items if item not in ranked}
        return list(scores), list(scores.values())

    def _later_events(self, user_id: str) -> list[tuple[str, str, int]]:
        """Return the events of a user since the training: (item id, event type, epoch seconds)."""
        user = None if self.later is None else self.later.users.find(user_id)
        if self.later is None or user is None:
            return []
        ids, names = self.model.items.strings, self.model.scoring.event_types
        rows = self.later.histories.table(user).tolist()
        return [(ids[item], names[kind], time) for item, kind, time in rows]

    def _masks(self, group: Mapping[str, tuple[FilterRequest, list[int]]]) -> Callable[[str], Mask]:
        assert self.filter is not None
        item_filter = self.filter
        return lambda query: item_filter.mask(group[query][0])


def _uses_later(spec: InferenceSpec, model: Model) -> bool:
    """Return whether the scores or the filter depend on events since the training."""
    return model.scoring.kind == "user" or (
        spec.filter is not None and Filter.parse(spec.filter).needs_interactions
    )


def _exploration_bonus(spec: InferenceSpec, model: Model) -> Bonus | None:
    """Return the bonus of young items, if the job asks for exploration and the recipe explores."""
    config = Exploration.of(spec.exploration)
    traits = model.traits or earlier_traits(model.recipe)
    if not spec.exploration or config.weight == 0 or not traits.explores:
        return None
    young = eligible(model, model.item_attributes.values("CREATION_TIMESTAMP"), config)
    popularity = model.popularity[young].astype(np.float64)
    return Bonus.of(young, popularity, config.weight, len(model.items), np.random.default_rng(spec.seed))


def _output_line(value: Any, output: Any, error: str | None) -> bytes:
    document = {"input": value, "output": output, "error": error}
    return orjson.dumps(document, option=orjson.OPT_APPEND_NEWLINE)


def parse_line(raw: bytes, member: str, *, optional: bool = False) -> Line:
    """Parse a line whose query is in `member`; `optional` is for recipes that need no user."""
    value, error = read_json(raw)
    if error is not None:
        return Line(value, None, error)
    if not isinstance(value, dict):
        return Line(value, None, "The line is not a JSON object.")
    query = value.get(member)
    if query is None and optional:
        return Line(value, "")
    if not _is_id(query):
        return Line(value, None, f"The line needs {member}: 1 to {MAX_ID_CHARACTERS} characters, as text.")
    return Line(value, query)


def check_items(line: Line) -> Line:
    """Return the line, with an error if it has no list of items to rank."""
    if line.query is None:
        return line
    items = line.value.get("itemList")
    if isinstance(items, list) and 0 < len(items) <= MAX_RANKED_ITEMS and all(map(_is_id, items)):
        return line
    error = (
        f"The line needs an itemList of 1 to {MAX_RANKED_ITEMS} ids "
        f"of 1 to {MAX_ID_CHARACTERS} characters each."
    )
    return Line(line.value, None, error)


def _is_id(value: Any) -> bool:
    return isinstance(value, str) and 0 < len(value) <= MAX_ID_CHARACTERS
