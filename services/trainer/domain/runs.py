"""A run: its steps, the names of its resources at the Personalize API, and its manifest."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

from shared.events.batches import RunKind

STEPS = ("wait", "snapshot", "import", "train", "campaign", "batch", "popularity", "manifest")

EXCLUDED_TYPES = (
    "impression",
    "exposure",
    "list_view",
    "search",
    "view_cart",
    "begin_checkout",
    "remove_from_cart",
    "refund",
    "order_update",
    "cancel",
)
"""Event types that do not train: negative feedback, and events that show no interest of the user."""

DatasetType = Literal["INTERACTIONS", "ITEMS", "USERS"]

MAX_NAME_CHARACTERS = 63
"""Of a resource: a limit of the Personalize API."""

_NOT_IN_NAMES = re.compile(r"[^a-zA-Z0-9_-]")


@dataclass(frozen=True, slots=True)
class Recipe:
    """A list for each user or item: its name in Endcap, and the recipe of the API that computes it."""

    name: str
    engine_recipe: str
    inputs: Literal["users", "items"]
    on_amazon: bool = True

    @property
    def arn(self) -> str:
        """The ARN of the recipe, which has neither region nor account."""
        return f"arn:aws:personalize:::recipe/{self.engine_recipe}"


RECIPES = (
    Recipe("user-personalization", "aws-user-personalization", "users"),
    Recipe("similar-items", "aws-similar-items", "items"),
    Recipe("item-affinity", "endcap-item-affinity", "users", on_amazon=False),
)
LIVE_RECIPE = "user-personalization"
SIMILAR = "similar-items"
POPULARITY = "popularity"
TOGETHER = "bought-together"
"""Lists that are counted in the snapshot, without a model."""


def recipes(*, amazon: bool) -> tuple[Recipe, ...]:
    """Return the recipes that the endpoint has."""
    return tuple(recipe for recipe in RECIPES if recipe.on_amazon or not amazon)


@dataclass(frozen=True, slots=True)
class Run:
    """A training run of a tenant; `run` is also the generation of its lists."""

    run: int
    tenant: str
    status: str
    imports: tuple[str, ...]
    created_at: datetime
    started_at: datetime | None
    kind: RunKind = "full"
    options: Mapping[str, Any] = field(default_factory=dict)

    @property
    def prefix(self) -> str:
        """The prefix of its files in the data bucket."""
        return run_prefix(self.tenant, self.run)

    def job_name(self, suffix: str) -> str:
        """Return a name for the API that is the same in every attempt, and unique among installations."""
        return _shortened(f"{self.tenant}-{self.run}-{self.created_at:%y%m%d%H%M%S}", suffix)


def run_prefix(tenant: str, run: int) -> str:
    """Return the prefix of the files of a run, with a trailing slash."""
    return f"{tenant}/runs/{run}/"


def resource_name(tenant: str, suffix: str) -> str:
    """Return the name of a resource that a tenant keeps from run to run, unique in the account."""
    return suffix if tenant == "default" else _shortened(tenant, suffix)


def _shortened(prefix: str, suffix: str) -> str:
    """Return `prefix-suffix` as a name of the API; a checksum replaces the end of a long prefix."""
    prefix = _NOT_IN_NAMES.sub("-", prefix)
    max_characters = MAX_NAME_CHARACTERS - len(suffix) - 1
    if len(prefix) > max_characters:
        prefix = f"{prefix[: max_characters - 9]}-{hashlib.sha256(prefix.encode()).hexdigest()[:8]}"
    return f"{prefix}-{suffix}"


def _field(name: str, kind: str | list[str], **attributes: bool) -> dict[str, Any]:
    return {"name": name, "type": kind, **attributes}


_OPTIONAL_TEXT = ["null", "string"]
_FIELDS: dict[DatasetType, list[dict[str, Any]]] = {
    "INTERACTIONS": [
        _field("USER_ID", "string"),
        _field("ITEM_ID", "string"),
        _field("TIMESTAMP", "long"),
        _field("EVENT_TYPE", "string"),
        _field("EVENT_VALUE", ["null", "float"]),
    ],
    "ITEMS": [
        _field("ITEM_ID", "string"),
        _field("ITEM_NAME", _OPTIONAL_TEXT),
        _field("CATEGORY", _OPTIONAL_TEXT, categorical=True),
        _field("PRICE", ["null", "float"]),
        _field("CREATION_TIMESTAMP", "long"),
    ],
    "USERS": [
        _field("USER_ID", "string"),
        _field("CITY", _OPTIONAL_TEXT, categorical=True),
        _field("PROVINCE", _OPTIONAL_TEXT, categorical=True),
        _field("COUNTRY", _OPTIONAL_TEXT, categorical=True),
    ],
}
DATASET_TYPES: tuple[DatasetType, ...] = ("INTERACTIONS", "ITEMS", "USERS")


def schema(dataset_type: DatasetType) -> str:
    """Return the Avro schema of a dataset as JSON, as the API expects it."""
    return json.dumps(
        {
            "type": "record",
            "name": dataset_type.title(),
            "namespace": "com.amazonaws.personalize.schema",
            "fields": _FIELDS[dataset_type],
            "version": "1.0",
        }
    )


def schema_name(dataset_type: DatasetType) -> str:
    """Return the name of a schema, with a checksum: the API does not allow a schema to change."""
    return f"endcap-{dataset_type.lower()}-{hashlib.sha256(schema(dataset_type).encode()).hexdigest()[:8]}"


@dataclass(frozen=True, slots=True)
class StoredFile:
    """An object that was written completely."""

    key: str
    rows: int
    bytes: int
    sha256: str

    def document(self) -> dict[str, Any]:
        """Return the entry of a manifest."""
        return {"key": self.key, "rows": self.rows, "bytes": self.bytes, "sha256": self.sha256}


def manifest(
    run: Run,
    completed_at: datetime,
    jobs: Mapping[str, Mapping[str, Any]],
    files: Mapping[str, list[dict[str, Any]]],
) -> dict[str, Any]:
    """Return the manifest of a run, which is written last; `jobs` and `files` are by recipe."""
    engine_recipes = {recipe.name: recipe.engine_recipe for recipe in RECIPES} | {
        POPULARITY: POPULARITY,
        TOGETHER: TOGETHER,
    }
    return {
        "version": 1,
        "tenant": run.tenant,
        "run": run.run,
        "kind": run.kind,
        "started_at": (run.started_at or run.created_at).isoformat(),
        "completed_at": completed_at.isoformat(),
        "recipes": {
            name: {
                "engine_recipe": engine_recipes[name],
                "job_name": jobs.get(name, {}).get("name"),
                "job_arn": jobs.get(name, {}).get("arn"),
                "files": files[name],
            }
            for name in sorted(files)
        },
    }
