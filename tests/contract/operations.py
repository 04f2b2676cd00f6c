"""Generate docs/operations.md: the operations of Amazon Personalize, and how Endcap answers them."""

from __future__ import annotations

import inspect
import json
from collections.abc import Mapping

import botocore.session

from services.engine.personalize import recipes, unsupported
from services.engine.personalize.operations import TABLE
from services.engine.training.recipes import RECIPES

SESSION = botocore.session.get_session()
HEAD = """# Operations of Amazon Personalize

`make contracts` writes this page from the code: from the control plane's table
([operations.py](../services/engine/personalize/operations.py)) and from the routes of tracker and
recommender. A declined operation answers InvalidInputException with the reason.
"""
COLUMNS = "| operation | status | description |\n|---|---|---|\n"
UNSUPPORTED = """Requests with these values answer InvalidInputException.

"""
RECIPE_HEAD = """Hyperparameters without effect belong to the neural networks of Amazon Personalize. They are
accepted, checked and stored, so that programs that set them work.

| recipe | type | hyperparameters | without effect |
|---|---|---|---|
"""


def operations(tracker: bytes, recommender: bytes) -> bytes:
    """Return the page in Markdown; the arguments are the OpenAPI documents of tracker and recommender."""
    sections = [
        HEAD,
        _section("Control plane (`personalize`, engine)", _control()),
        _section("Events (`personalize-events`, tracker)", _routes("personalize-events", tracker)),
        _section(
            "Runtime (`personalize-runtime`, recommender, and router for experiments)",
            _routes("personalize-runtime", recommender),
        ),
        f"## Unsupported values\n\n{UNSUPPORTED}| value | alternative |\n|---|---|\n{_unsupported()}",
        f"## Members without effect\n\n| member | reason |\n|---|---|\n{_rows(unsupported.IGNORED_MEMBERS)}",
        f"## Recipes\n\n{RECIPE_HEAD}{_recipes()}",
    ]
    return "\n".join(sections).encode()


def _section(title: str, rows: list[tuple[str, str, str]]) -> str:
    done = sum(here == "implemented" for _, here, _ in rows)
    lines = "".join(f"| {name} | {here} | {note} |\n" for name, here, note in rows)
    return f"## {title}\n\n{done} of {len(rows)} operations are implemented.\n\n{COLUMNS}{lines}"


def _unsupported() -> str:
    return _rows(
        unsupported.ALTERNATIVES | {f"recipe {name}": reason for name, reason in recipes.UNSUPPORTED.items()}
    )


def _rows(table: Mapping[str, str]) -> str:
    return "".join(f"| {key} | {value} |\n" for key, value in table.items())


def _recipes() -> str:
    lines = ""
    for name, recipe in sorted(RECIPES.items()):
        own = ", ".join([*recipe.hyperparameters, *recipe.transformations])
        kind = f"{recipe.recipe_type}, {recipe.domain}" if recipe.domain else recipe.recipe_type
        lines += f"| {name} | {kind} | {own} | {', '.join(recipe.without_effect)} |\n"
    return lines


def names(service: str) -> list[str]:
    """Return the names of the operations of an AWS service."""
    return sorted(SESSION.get_service_model(service).operation_names)


def _control() -> list[tuple[str, str, str]]:
    rows = []
    for name in names("personalize"):
        row = TABLE.get(name)
        note = (inspect.getdoc(row.handle) or "").splitlines()[0] if row else ""
        rows.append((name, "implemented" if row else "not implemented", note))
    return rows


def _routes(service: str, page: bytes) -> list[tuple[str, str, str]]:
    summaries = {
        operation["operationId"]: (operation["summary"], operation.get("description", ""))
        for methods in json.loads(page)["paths"].values()
        for operation in methods.values()
    }
    rows = []
    for name in names(service):
        summary, sentence = summaries.get(name, ("unknown: not implemented", ""))
        _, _, here = summary.partition(": ")
        rows.append((name, here or "implemented", sentence if here else ""))
    return rows
