"""The rules for a batch to become a generation: its manifest, its lines, and the reasons for a refusal."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Annotated, Any, Self

import orjson
from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError

from shared.errors import Permanent
from shared.events.caches import Overlay

RecipeName = Annotated[str, StringConstraints(pattern=r"^[a-z0-9-]{1,64}$")]
MAX_ID_CHARACTERS = 256
# The input field with the id of a list, by recipe; other recipes may use any of the three.
_ID_FIELDS = {
    "user-personalization": ("userId",),
    "item-affinity": ("userId",),
    "similar-items": ("itemId",),
    "bought-together": ("itemId",),
    "popularity": ("listId",),
}
ITEM_RECIPES = ("similar-items", "bought-together")
"""Recipes whose lists belong to items."""
RECIPES_WITHOUT_USERS = (*ITEM_RECIPES, "popularity")
"""Recipes whose lists belong to no user; every other recipe may have lists of users."""
_ANY_ID_FIELD = ("userId", "itemId", "listId")
MAX_TEXT_CHARACTERS = 1000


class BatchRefused(Permanent):
    """The batch must not become a generation; the message says why, and what to do."""


class ManifestFile(BaseModel):
    """A file of batch output, as it was when the manifest was written."""

    model_config = ConfigDict(frozen=True)
    key: str = Field(min_length=1)
    rows: int = Field(ge=0)
    bytes: int = Field(ge=0)
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")


class ManifestRecipe(BaseModel):
    """The files of one recipe, and the job that wrote them."""

    model_config = ConfigDict(frozen=True)
    job_name: str | None = None
    job_arn: str | None = None
    engine_recipe: str | None = None
    started_at: datetime | None = None
    completed_at: datetime | None = None
    files: tuple[ManifestFile, ...]

    @property
    def rows(self) -> int:
        """The number of lines of all files."""
        return sum(file.rows for file in self.files)


class Manifest(BaseModel):
    """The manifest of a run, which is written last: its files, their numbers of lines and checksums."""

    model_config = ConfigDict(frozen=True)
    version: int
    tenant: str
    run: int
    started_at: datetime
    completed_at: datetime
    recipes: dict[RecipeName, ManifestRecipe] = Field(min_length=1)

    @classmethod
    def read(cls, text: bytes, *, tenant: str, run: int) -> Self:
        """Parse a manifest; BatchRefused when it is invalid, or belongs to another run."""
        try:
            manifest = cls.model_validate_json(text)
        except ValidationError as error:
            first = error.errors()[0]
            where = ".".join(map(str, first["loc"]))
            raise BatchRefused(f"the manifest of run {run} is broken: {where} {first['msg']}") from error
        if manifest.version != 1:
            raise BatchRefused(
                f"the manifest of run {run} has version {manifest.version}; only version 1 is supported"
            )
        if (manifest.tenant, manifest.run) != (tenant, run):
            owner = f"run {manifest.run} of tenant {manifest.tenant}"
            raise BatchRefused(f"the manifest of run {run} of tenant {tenant} is that of {owner}")
        for recipe in manifest.recipes.values():
            for file in recipe.files:
                require_own_key(file.key, tenant)
        return manifest


def require_own_key(key: str, tenant: str) -> None:
    """Raise BatchRefused for an object outside the prefix of the tenant."""
    if not key.startswith(f"{tenant}/") or ".." in key.split("/"):
        raise BatchRefused(f"the object {key} does not belong to tenant {tenant}")


@dataclass(frozen=True, slots=True)
class RecommendationList:
    """The recommendations for one id: `items` is the JSON `[[item id, score], ...]`, best first."""

    id: str
    items: bytes
    item_ids: list[str]
    unknown_ids: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class RejectedLine:
    """A line of batch output without a valid list."""

    recipe: str
    file: str
    line: int
    reason: str
    text: str


class InvalidLine(ValueError):
    """A line without a valid list; the message continues "line 7 of file"."""


def parse_line(line: bytes, recipe: str, catalogue: frozenset[str] = frozenset()) -> RecommendationList:
    """Parse a line of Personalize batch output; InvalidLine when it has no list.

    Items that are not in a catalogue are left out; without a catalogue all stay.
    """
    try:
        document = orjson.loads(line)
    except orjson.JSONDecodeError as error:
        raise InvalidLine(f"is not JSON: {error}") from error
    if not isinstance(document, dict):
        raise InvalidLine("is not a JSON object")
    if document.get("error") is not None:
        raise InvalidLine(f"has the error {document['error']!r}")
    identifier = _identifier(document.get("input"), recipe)
    output = document.get("output")
    items = output.get("recommendedItems") if isinstance(output, dict) else None
    if not isinstance(items, list) or not _are_ids(items):
        raise InvalidLine("has no output.recommendedItems that is a list of ids")
    assert isinstance(output, dict)
    scores = _scores(output.get("scores"), len(items))
    pairs, unknown = [*zip(items, scores, strict=True)], frozenset[str]()
    if catalogue and not catalogue.issuperset(items):
        unknown = frozenset(items) - catalogue
        pairs = [pair for pair in pairs if pair[0] not in unknown]
    return RecommendationList(identifier, orjson.dumps(pairs), items, unknown)


def _identifier(input_: Any, recipe: str) -> str:
    names = _ID_FIELDS.get(recipe, _ANY_ID_FIELD)
    values = [input_[name] for name in names if name in input_] if isinstance(input_, dict) else []
    if not values or not _is_id(values[0]):
        raise InvalidLine(f"has no input.{' or '.join(names)} of 1 to {MAX_ID_CHARACTERS} characters")
    return str(values[0])


def _scores(scores: Any, count: int) -> list[float]:
    """Return the scores, or 1/rank for a recipe without scores, so that sorting keeps the order."""
    if scores is None:
        return [round(1 / rank, 7) for rank in range(1, count + 1)]
    if not isinstance(scores, list) or len(scores) != count or not _are_scores(scores):
        raise InvalidLine("has output.scores that are not one number for each item")
    return scores


def _is_id(value: Any) -> bool:
    return isinstance(value, str) and 0 < len(value) <= MAX_ID_CHARACTERS and "\x00" not in value


# A batch has millions of items, so these functions use loops that are written in C.


def _are_ids(values: list[Any]) -> bool:
    if not values:
        return True
    if set(map(type, values)) != {str}:
        return False
    lengths = [*map(len, values)]
    return min(lengths) > 0 and max(lengths) <= MAX_ID_CHARACTERS and "\x00" not in "".join(values)


def _are_scores(values: list[Any]) -> bool:
    # Types are compared exactly, since bool is a subclass of int. The sum is finite only if each score is.
    return set(map(type, values)) <= {int, float} and math.isfinite(sum(values))


@dataclass
class LoadCounts:
    """Counts of the lines that a load has read, by recipe, with the rejected lines and all item ids.

    Lists keep the items of `catalogue`; if it is empty, all.
    """

    lines: Counter[str] = field(default_factory=Counter)
    rows: Counter[str] = field(default_factory=Counter)
    rejected: Counter[str] = field(default_factory=Counter)
    rejects: list[RejectedLine] = field(default_factory=list)
    items: set[str] = field(default_factory=set)
    unknown_items: set[str] = field(default_factory=set)
    catalogue: frozenset[str] = frozenset()
    max_rejects: int = 10_000

    def add(self, recipe: str, file: str, number: int, line: bytes) -> RecommendationList | None:
        """Count a line and return its list; None for a rejected line."""
        self.lines[recipe] += 1
        try:
            entry = parse_line(line, recipe, self.catalogue)
        except InvalidLine as reason:
            self.rejected[recipe] += 1
            if len(self.rejects) < self.max_rejects:
                self.rejects.append(RejectedLine(recipe, file, number, str(reason), _shown(line)))
            return None
        self.rows[recipe] += 1
        self.items.update(entry.item_ids)
        self.unknown_items.update(entry.unknown_ids)
        return entry


def _shown(line: bytes) -> str:
    """Return the start of a line as text that Postgres accepts."""
    return line[:MAX_TEXT_CHARACTERS].decode("utf-8", "replace").replace("\x00", "\ufffd")


@dataclass(frozen=True, slots=True)
class Limits:
    """Limits for the plausibility of a batch, as shares from 0 to 1."""

    least_share_of_last: float
    most_unknown_items: float
    most_rejected_lines: float


def require_complete(manifest: Manifest, counts: LoadCounts) -> None:
    """Raise BatchRefused when files lack lines, or no list is valid; `force` does not override it."""
    for name, recipe in manifest.recipes.items():
        if counts.lines[name] != recipe.rows:
            raise BatchRefused(
                f"the files of {name} have {counts.lines[name]} lines, but the manifest says "
                f"{recipe.rows}: the output of the run is incomplete; start a new run"
            )
    if not counts.rows.total():
        raise BatchRefused("the batch holds no list that can be used")


def require_plausible(
    manifest: Manifest,
    counts: LoadCounts,
    limits: Limits,
    *,
    last_rows: Mapping[str, int],
) -> None:
    """Raise BatchRefused for a complete batch that is implausible; `force` overrides it."""
    override = 'activate it with {"force": true} if this is as it should be'
    for name, lines in counts.lines.items():
        rejected = counts.rejected[name]
        if rejected > limits.most_rejected_lines * lines:
            first = next(reject for reject in counts.rejects if reject.recipe == name)
            raise BatchRefused(
                f"{rejected} of {lines} lines of {name} can't be used (more than "
                f"{limits.most_rejected_lines:.1%}); line {first.line} of {first.file} {first.reason}; "
                f"{override}"
            )
    # By the manifest: `counts` has no entry for a recipe whose files are empty, which has lost all its lists.
    for name in manifest.recipes:
        last, rows = last_rows.get(name, 0), counts.rows[name]
        if rows < limits.least_share_of_last * last:
            raise BatchRefused(
                f"{name} has {rows} lists, fewer than {limits.least_share_of_last:.0%} of the "
                f"{last} that are served now; {override}"
            )
    unknown = len(counts.unknown_items)
    if unknown > limits.most_unknown_items * len(counts.items):
        raise BatchRefused(
            f"{unknown} of the {len(counts.items)} items recommended are not in the catalogue "
            f"(more than {limits.most_unknown_items:.0%}); import the items, or {override}"
        )


@dataclass(frozen=True, slots=True)
class ActiveGenerations:
    """The generation of each recipe that a tenant serves since an activation, and what overlays it."""

    tenant: str
    activation: int
    generations: dict[str, int]
    overlays: dict[str, Overlay] = field(default_factory=dict)

    @property
    def numbers(self) -> set[int]:
        """Return all generations that are served."""
        return {*self.generations.values(), *(overlay.generation for overlay in self.overlays.values())}
