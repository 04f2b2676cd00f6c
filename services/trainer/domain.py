"""What a run is: its steps, the names it gives to things at the Personalize API, and its manifest."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

STEPS = ("wait", "snapshot", "import", "train", "campaign", "batch", "popularity", "manifest")

# A negative signal, or one that says what was shown rather than what was wanted, is not learned from.
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

DatasetType = Literal["INTERACTIONS", "ITEMS", "USERS"]

LONGEST_NAME = 63
_NOT_IN_NAMES = re.compile(r"[^a-zA-Z0-9_-]")


@dataclass(frozen=True, slots=True)
class Recipe:
    """One list per user or item: Endcap's name for it, and the recipe of the API that makes it."""

    name: str
    engine_recipe: str
    inputs: Literal["users", "items"]
    on_amazon: bool = True

    @property
    def arn(self) -> str:
        """Recipes have neither region nor account."""
        return f"arn:aws:personalize:::recipe/{self.engine_recipe}"


RECIPES = (
    Recipe("user-personalization", "aws-user-personalization", "users"),
    Recipe("similar-items", "aws-similar-items", "items"),
    Recipe("item-affinity", "endcap-item-affinity", "users", on_amazon=False),
)
LIVE_RECIPE = "user-personalization"
POPULARITY = "popularity"


def recipes(*, amazon: bool) -> tuple[Recipe, ...]:
    """The recipes that the endpoint has."""
    return tuple(recipe for recipe in RECIPES if recipe.on_amazon or not amazon)


@dataclass(frozen=True, slots=True)
class Run:
    """One training run of a tenant. `run` is also the generation that its lists become."""

    run: int
    tenant: str
    status: str
    imports: tuple[str, ...]
    created_at: datetime
    started_at: datetime | None

    @property
    def prefix(self) -> str:
        """Where its files are in the data bucket."""
        return run_prefix(self.tenant, self.run)

    def job_name(self, what: str) -> str:
        """A name at the API that repeats when a step does, and that no other installation gives."""
        return _fitting(f"{self.tenant}-{self.run}-{self.created_at:%y%m%d%H%M%S}", what)


def run_prefix(tenant: str, run: int) -> str:
    """The prefix of a run's files, with its slash."""
    return f"{tenant}/runs/{run}/"


def resource_name(tenant: str, what: str) -> str:
    """The name of what a tenant keeps from run to run: names belong to the account, not to the tenant."""
    return what if tenant == "default" else _fitting(tenant, what)


def _fitting(before: str, what: str) -> str:
    """`before-what` as a name of the API; what doesn't fit is replaced by a checksum of it."""
    before = _NOT_IN_NAMES.sub("-", before)
    room = LONGEST_NAME - len(what) - 1
    if len(before) > room:
        before = f"{before[: room - 9]}-{hashlib.sha256(before.encode()).hexdigest()[:8]}"
    return f"{before}-{what}"


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
    """The Avro schema of a dataset, as the API takes it."""
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
    """Schemas can't be changed, so a schema's name says which one it is."""
    return f"endcap-{dataset_type.lower()}-{hashlib.sha256(schema(dataset_type).encode()).hexdigest()[:8]}"


@dataclass(frozen=True, slots=True)
class StoredFile:
    """An object that was written whole."""

    key: str
    rows: int
    bytes: int
    sha256: str

    def document(self) -> dict[str, Any]:
        """As it stands in manifests."""
        return {"key": self.key, "rows": self.rows, "bytes": self.bytes, "sha256": self.sha256}


def manifest(
    run: Run,
    completed_at: datetime,
    jobs: Mapping[str, Mapping[str, Any]],
    files: Mapping[str, list[dict[str, Any]]],
) -> dict[str, Any]:
    """The page that is written last: which files belong to the run. `jobs` and `files` are by recipe."""
    engine_recipes = {recipe.name: recipe.engine_recipe for recipe in RECIPES} | {POPULARITY: POPULARITY}
    return {
        "version": 1,
        "tenant": run.tenant,
        "run": run.run,
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
