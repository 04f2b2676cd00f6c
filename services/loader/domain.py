"""What a batch must be to become a generation: the manifest, its lines, and the reasons to refuse."""

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

RecipeName = Annotated[str, StringConstraints(pattern=r"^[a-z0-9-]{1,64}$")]
LONGEST_ID = 256
# The input field that names a list, by recipe; a recipe of somebody's own may use any of the three.
_ID_FIELDS = {
    "user-personalization": ("userId",),
    "item-affinity": ("userId",),
    "similar-items": ("itemId",),
    "popularity": ("listId",),
}
RECIPES_WITHOUT_USERS = ("similar-items", "popularity")
"""Recipes whose lists belong to no user; every other recipe may have lists of users."""
_ANY_ID_FIELD = ("userId", "itemId", "listId")
_TEXT_KEPT = 1000


class Refused(Permanent):
    """The batch may not become a generation; the message says why and what to do."""


class ManifestFile(BaseModel):
    """One file of batch output, as it was when the manifest was written."""

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
        """The lines of all files."""
        return sum(file.rows for file in self.files)


class Manifest(BaseModel):
    """The page that was written last: what belongs to the run, with its lines and checksums."""

    model_config = ConfigDict(frozen=True)
    version: int
    tenant: str
    run: int
    started_at: datetime
    completed_at: datetime
    recipes: dict[RecipeName, ManifestRecipe] = Field(min_length=1)

    @classmethod
    def read(cls, text: bytes, *, tenant: str, run: int) -> Self:
        """Parse a manifest and check that it is the one of this run. Raises Refused."""
        try:
            manifest = cls.model_validate_json(text)
        except ValidationError as error:
            first = error.errors()[0]
            where = ".".join(map(str, first["loc"]))
            raise Refused(f"the manifest of run {run} is broken: {where} {first['msg']}") from error
        if manifest.version != 1:
            raise Refused(f"the manifest of run {run} has version {manifest.version}; 1 is known here")
        if (manifest.tenant, manifest.run) != (tenant, run):
            whose = f"run {manifest.run} of tenant {manifest.tenant}"
            raise Refused(f"the manifest of run {run} of tenant {tenant} is that of {whose}")
        for recipe in manifest.recipes.values():
            for file in recipe.files:
                require_own_key(file.key, tenant)
        return manifest


def require_own_key(key: str, tenant: str) -> None:
    """Raise Refused for an object outside the tenant's prefix."""
    if not key.startswith(f"{tenant}/") or ".." in key.split("/"):
        raise Refused(f"the object {key} does not belong to tenant {tenant}")


@dataclass(frozen=True, slots=True)
class Entry:
    """One list: `items` is the JSON `[[item id, score], ...]`, best first."""

    id: str
    items: bytes
    item_ids: list[str]


@dataclass(frozen=True, slots=True)
class Reject:
    """One line that can't be used."""

    recipe: str
    file: str
    line: int
    reason: str
    text: str


class Unusable(ValueError):
    """A line that holds no list; the message goes on after "line 7 of file"."""


def parsed(line: bytes, recipe: str) -> Entry:
    """One line of Personalize batch output as a list. Raises Unusable."""
    try:
        document = orjson.loads(line)
    except orjson.JSONDecodeError as error:
        raise Unusable(f"is not JSON: {error}") from error
    if not isinstance(document, dict):
        raise Unusable("is not a JSON object")
    if document.get("error") is not None:
        raise Unusable(f"has the error {document['error']!r}")
    identifier = _identifier(document.get("input"), recipe)
    output = document.get("output")
    items = output.get("recommendedItems") if isinstance(output, dict) else None
    if not isinstance(items, list) or not _are_ids(items):
        raise Unusable("has no output.recommendedItems that is a list of ids")
    assert isinstance(output, dict)
    scores = _scores(output.get("scores"), len(items))
    return Entry(identifier, orjson.dumps([*zip(items, scores, strict=True)]), items)


def _identifier(given: Any, recipe: str) -> str:
    names = _ID_FIELDS.get(recipe, _ANY_ID_FIELD)
    found = next((given[name] for name in names if name in given), None) if isinstance(given, dict) else None
    if not _is_id(found):
        raise Unusable(f"has no input.{' or '.join(names)} of 1 to {LONGEST_ID} characters")
    return str(found)


def _scores(given: Any, count: int) -> list[float]:
    """The scores; recipes without any (Similar-Items) get 1/rank, so that sorting keeps the order."""
    if given is None:
        return [round(1 / rank, 7) for rank in range(1, count + 1)]
    if not isinstance(given, list) or len(given) != count or not _are_scores(given):
        raise Unusable("has output.scores that are not one number for each item")
    return given


def _is_id(value: Any) -> bool:
    return isinstance(value, str) and 0 < len(value) <= LONGEST_ID and "\x00" not in value


# A batch has millions of items, so the loops over them are those of C.


def _are_ids(values: list[Any]) -> bool:
    if not values:
        return True
    if set(map(type, values)) != {str}:
        return False
    lengths = [*map(len, values)]
    return min(lengths) > 0 and max(lengths) <= LONGEST_ID and "\x00" not in "".join(values)


def _are_scores(values: list[Any]) -> bool:
    # JSON's `true` is a bool, which is no float and no int by type; a sum is finite if each score is.
    return set(map(type, values)) <= {int, float} and math.isfinite(sum(values))


@dataclass
class Tally:
    """What a load has seen so far."""

    lines: Counter[str] = field(default_factory=Counter)
    rows: Counter[str] = field(default_factory=Counter)
    rejected: Counter[str] = field(default_factory=Counter)
    rejects: list[Reject] = field(default_factory=list)
    items: set[str] = field(default_factory=set)
    most_kept: int = 10_000

    def take(self, recipe: str, file: str, number: int, line: bytes) -> Entry | None:
        """Count one line; None when it can't be used."""
        self.lines[recipe] += 1
        try:
            entry = parsed(line, recipe)
        except Unusable as reason:
            self.rejected[recipe] += 1
            if len(self.rejects) < self.most_kept:
                self.rejects.append(Reject(recipe, file, number, str(reason), _shown(line)))
            return None
        self.rows[recipe] += 1
        self.items.update(entry.item_ids)
        return entry


def _shown(line: bytes) -> str:
    """The beginning of a line, as text that Postgres can hold."""
    return line[:_TEXT_KEPT].decode("utf-8", "replace").replace("\x00", "\ufffd")


@dataclass(frozen=True, slots=True)
class Limits:
    """How much a batch may differ from what is expected of it."""

    least_share_of_last: float
    most_unknown_items: float
    most_rejected_lines: float


def require_complete(manifest: Manifest, tally: Tally) -> None:
    """Raise Refused when the lines aren't those that the manifest counts; nothing overrides this."""
    for name, recipe in manifest.recipes.items():
        if tally.lines[name] != recipe.rows:
            raise Refused(
                f"the files of {name} have {tally.lines[name]} lines, but the manifest says "
                f"{recipe.rows}: the run's output is torn; start a new run"
            )
    if not tally.rows.total():
        raise Refused("the batch holds no list that can be used")


def require_plausible(
    manifest: Manifest, tally: Tally, limits: Limits, *, last_rows: Mapping[str, int], unknown_items: int
) -> None:
    """Raise Refused when a batch is whole but looks wrong. A person may load it in spite of that."""
    anyway = 'activate it with {"force": true} if this is as it should be'
    for name, lines in tally.lines.items():
        rejected = tally.rejected[name]
        if rejected > limits.most_rejected_lines * lines:
            first = next(reject for reject in tally.rejects if reject.recipe == name)
            raise Refused(
                f"{rejected} of {lines} lines of {name} can't be used (more than "
                f"{limits.most_rejected_lines:.1%}); line {first.line} of {first.file} {first.reason}; "
                f"{anyway}"
            )
    # Not the tally's: a recipe whose files are empty has no line there, and it lost all of its lists.
    for name in manifest.recipes:
        last, rows = last_rows.get(name, 0), tally.rows[name]
        if rows < limits.least_share_of_last * last:
            raise Refused(
                f"{name} has {rows} lists, fewer than {limits.least_share_of_last:.0%} of the "
                f"{last} that are served now; {anyway}"
            )
    if unknown_items > limits.most_unknown_items * len(tally.items):
        raise Refused(
            f"{unknown_items} of the {len(tally.items)} items recommended are not in the catalogue "
            f"(more than {limits.most_unknown_items:.0%}); import the items, or {anyway}"
        )


@dataclass(frozen=True, slots=True)
class Served:
    """What a tenant's clients should get: of each recipe its generation, since an activation."""

    tenant: str
    activation: int
    generations: dict[str, int]
