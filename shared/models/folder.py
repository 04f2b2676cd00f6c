"""Model folders: `meta.json` and one .npy file per array, nothing else.

A folder is written once and never changed, so it can be copied, compared by its fingerprint and
mapped into the memory of several processes at the same time.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from shared.errors import Permanent
from shared.events import RecipeTraits
from shared.models.attributes import Attributes, Column, NumberKind, Texts
from shared.models.components import TABLES, ScoringComponent
from shared.models.context import Context
from shared.models.histories import Histories, SeenItems
from shared.models.ids import Ids
from shared.models.interaction_index import InteractionIndex
from shared.models.model import Model
from shared.models.scoring import Scoring

FORMAT = 2
"""Since 2 a folder holds attributes and the times of items' first events; a folder of format 1 has none."""
_READABLE_FORMATS = (1, FORMAT)
_NUMBER_KINDS: dict[str, NumberKind] = {"whole": "whole", "float": "float", "double": "double"}
_META = "meta.json"
_MAPPED_FROM_BYTES = 1 << 16
"""Below this size a plain read is faster than a mapping."""
_FIELDS = {
    "there": "user_weights",
    "back": "item_weights",
    "enter": "encoder",
    "leave": "decoder",
    "row_of": "entry_rows",
    "matches": "match_weights",
    "holder_offsets": "item_offsets",
    "holders": "item_entries",
}
"""The names of tables' fields where a folder has other names for their arrays."""
_IDS = ("text", "offsets", "digests", "order")
_HISTORIES = ("offsets", "items", "types", "times")


def save(model: Model, folder: Path | str) -> None:
    """Write the model; `meta.json` comes last, so a folder without it is not whole.

    The same model always makes the same bytes. The names of files and of members of `meta.json` are a
    persisted format: they stay as they are when fields of `Model` are renamed.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    for name, array in _arrays(model):
        np.save(folder / f"{name}.npy", np.ascontiguousarray(array), allow_pickle=False)
    meta = {
        "format": FORMAT,
        "recipe": model.recipe,
        "scoring": model.scoring.model_dump(mode="json"),
        "parts": [
            {
                "name": component.name,
                "weight": component.weight,
                "decay": component.decay,
                "unit": component.unit,
                "kind": component.table.kind,
                "settings": component.table.settings(),
                "arrays": sorted(component.table.arrays()),
            }
            for component in model.components
        ],
        "users": len(model.users),
        "items": len(model.items),
        "newest": model.newest_event_time,
        "tilted": len(model.objective_scores) > 0,
        "attributes": {owner: _kinds(attributes) for owner, attributes in _attributes(model)},
        "deeds": list(model.interactions.event_types) if model.interactions.available else None,
        "context": None if model.context.columns is None else [model.context.columns, model.context.counted],
        "traits": None if model.traits is None else model.traits.model_dump(),
        "notes": dict(model.notes),
    }
    text = json.dumps(meta, ensure_ascii=False, indent=1, sort_keys=True, allow_nan=False)
    (folder / _META).write_text(text + "\n", encoding="utf-8")


def load(folder: Path | str) -> Model:
    """Map a model folder into memory. Raise Permanent when it is not a whole model folder."""
    folder = Path(folder)
    try:
        meta = json.loads((folder / _META).read_text(encoding="utf-8"))
        if meta["format"] not in _READABLE_FORMATS:
            raise Permanent(
                f"The model folder {folder} has format {meta['format']}, this program reads formats up to "
                f"{FORMAT}: train the solution version again."
            )
        columns = meta.get("attributes", {})
        return Model(
            recipe=meta["recipe"],
            scoring=Scoring.model_validate(meta["scoring"]),
            items=Ids(**_group(folder, "items", _IDS)),
            users=Ids(**_group(folder, "users", _IDS)),
            popularity=_array(folder, "popularity"),
            histories=Histories(**_group(folder, "histories", _HISTORIES)),
            older=SeenItems(**_group(folder, "older", ("offsets", "items"))),
            components=tuple(_component(folder, number, part) for number, part in enumerate(meta["parts"])),
            notes=meta["notes"],
            item_attributes=_read_attributes(folder, "item", columns.get("item", [])),
            user_attributes=_read_attributes(folder, "user", columns.get("user", [])),
            first_event_times=_array(folder, "born") if meta["format"] > 1 else np.zeros(0, np.int64),
            newest_event_time=meta.get("newest", 0),
            objective_scores=_array(folder, "tilt") if meta.get("tilted") else np.zeros(0, np.float32),
            interactions=_read_interactions(folder, meta.get("deeds")),
            context=_read_context(folder, meta.get("context")),
            traits=_read_traits(meta.get("traits")),
        )
    except (OSError, KeyError, TypeError, ValueError) as error:
        raise Permanent(
            f"The folder {folder} is not a whole model ({error}): copy it again or train again."
        ) from error


def fingerprint(folder: Path | str) -> str:
    """Return the sha256 over all files' names and contents, as CampaignChanged carries it."""
    digest = sha256()
    for file in sorted(Path(folder).iterdir()):
        content = sha256()
        with file.open("rb") as stream:
            while block := stream.read(1 << 20):
                content.update(block)
        digest.update(f"{file.name}\0{content.hexdigest()}\n".encode())
    return digest.hexdigest()


def _arrays(model: Model) -> Iterator[tuple[str, NDArray[Any]]]:
    yield "popularity", model.popularity
    yield from _prefixed("items", model.items.arrays())
    yield from _prefixed("users", model.users.arrays())
    yield from _prefixed("histories", model.histories.arrays())
    yield from _prefixed("older", model.older.arrays())
    if model.interactions.available:
        yield from _prefixed("deeds", model.interactions.arrays())
    if model.context.counted:
        yield from _prefixed("context", model.context.arrays())
    if len(model.objective_scores):
        yield "tilt", model.objective_scores
    for number, component in enumerate(model.components):
        yield from _prefixed(f"part{number}", component.table.arrays())
    yield "born", model.first_event_times
    for owner, attributes in _attributes(model):
        for number, column in enumerate(attributes.columns.values()):
            name = f"{owner}-column{number}"
            if isinstance(column, Texts):
                yield f"{name}-text", column.text
                yield f"{name}-offsets", column.offsets
            else:
                yield name, column


def _attributes(model: Model) -> Iterator[tuple[str, Attributes]]:
    yield "item", model.item_attributes
    yield "user", model.user_attributes


def _kinds(attributes: Attributes) -> list[list[str]]:
    """Return the columns' names and kinds, in the order of their files: not every name is a valid file name.

    A kind other than `text` is a column of numbers.
    """
    return [
        [name, "text" if isinstance(column, Texts) else attributes.kinds.get(name, "number")]
        for name, column in attributes.columns.items()
    ]


def _read_attributes(folder: Path, owner: str, columns: list[list[str]]) -> Attributes:
    values: dict[str, Column] = {}
    for number, (name, kind) in enumerate(columns):
        file = f"{owner}-column{number}"
        values[name] = (
            Texts(**_group(folder, file, ("text", "offsets"))) if kind == "text" else _array(folder, file)
        )
    return Attributes(values, {name: _NUMBER_KINDS[kind] for name, kind in columns if kind in _NUMBER_KINDS})


def _read_interactions(folder: Path, event_types: list[str] | None) -> InteractionIndex:
    """Return the index of interactions; an empty one where the folder, of an earlier release, has none."""
    if event_types is None:
        return InteractionIndex()
    return InteractionIndex(
        **_group(folder, "deeds", ("offsets", "items", "types")), event_types=tuple(event_types)
    )


def _read_context(folder: Path, known: list[list[str]] | None) -> Context:
    """Return the context; an empty one where the folder, of an earlier release, has none."""
    if known is None:
        return Context()
    columns, counted = map(tuple, known)
    if not counted:
        return Context(columns)
    values = Ids(**_group(folder, "context-values", _IDS))
    arrays = _group(folder, "context", ("offsets", "items", "counts"))
    return Context(columns, counted, values, **arrays, totals=_array(folder, "context-met"))


def _read_traits(meta: dict[str, Any] | None) -> RecipeTraits | None:
    return None if meta is None else RecipeTraits.model_validate(meta)


def _prefixed(group: str, arrays: dict[str, NDArray[Any]]) -> Iterator[tuple[str, NDArray[Any]]]:
    for name, array in arrays.items():
        yield f"{group}-{name}", array


def _array(folder: Path, name: str) -> NDArray[Any]:
    file = folder / f"{name}.npy"
    mapped = file.stat().st_size >= _MAPPED_FROM_BYTES
    array: NDArray[Any] = np.load(file, mmap_mode="r" if mapped else None, allow_pickle=False)
    # A plain view: slices of np.memmap objects cost a microsecond each.
    return array.view(np.ndarray)


def _group(folder: Path, group: str, names: tuple[str, ...]) -> dict[str, NDArray[Any]]:
    return {name: _array(folder, f"{group}-{name}") for name in names}


def _component(folder: Path, number: int, meta: dict[str, Any]) -> ScoringComponent:
    """Read a component; models that were saved before there were several kinds of tables name no kind."""
    kind, settings = meta.pop("kind", "neighbours"), meta.pop("settings", {})
    names = tuple(meta.pop("arrays", ("offsets", "items", "weights")))
    arrays = {_FIELDS.get(name, name): _array(folder, f"part{number}-{name}") for name in names}
    fields: dict[str, Any] = {**arrays, **settings}
    return ScoringComponent(table=TABLES[kind](**fields), **meta)
