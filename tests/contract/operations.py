"""The page of operations: what of Amazon Personalize is answered here, from the code that answers it."""

from __future__ import annotations

import inspect
import json
from collections.abc import Mapping

import botocore.session

from services.engine.personalize import recipes, unsupported
from services.engine.personalize.operations import TABLE
from services.engine.recipes import RECIPES

SESSION = botocore.session.get_session()
HEAD = """# Operations of Amazon Personalize

`make contracts` writes this page from the code: from the control plane's table
([operations.py](../services/engine/personalize/operations.py)) and from the routes of tracker and
recommender. An operation that is declined answers InvalidInputException with a sentence that says so.
"""
COLUMNS = "| operation | here | |\n|---|---|---|\n"
DECLINED = """These answer InvalidInputException, too.

"""
RECIPE_HEAD = """Hyperparameters without effect belong to the networks of the hosted service: they are taken,
checked and kept, so that programs which set them run.

| recipe | type | hyperparameters | without effect |
|---|---|---|---|
"""


def operations(tracker: bytes, recommender: bytes) -> bytes:
    """The page in Markdown; the OpenAPI pages say what tracker and recommender answer."""
    sections = [
        HEAD,
        _section("Control plane (`personalize`, engine)", _control()),
        _section("Events (`personalize-events`, tracker)", _routes("personalize-events", tracker)),
        _section(
            "Runtime (`personalize-runtime`, recommender, and router for experiments)",
            _routes("personalize-runtime", recommender),
        ),
        f"## Declined within operations\n\n{DECLINED}| what | instead |\n|---|---|\n{_declined()}",
        f"## Taken without effect\n\n| what | why |\n|---|---|\n{_rows(unsupported.IGNORED_MEMBERS)}",
        f"## Recipes\n\n{RECIPE_HEAD}{_recipes()}",
    ]
    return "\n".join(sections).encode()


def _section(title: str, rows: list[tuple[str, str, str]]) -> str:
    done = sum(here == "implemented" for _, here, _ in rows)
    lines = "".join(f"| {name} | {here} | {note} |\n" for name, here, note in rows)
    return f"## {title}\n\n{done} of {len(rows)} operations are implemented.\n\n{COLUMNS}{lines}"


def _declined() -> str:
    return _rows(
        unsupported.ALTERNATIVES | {f"recipe {name}": why for name, why in recipes.UNSUPPORTED.items()}
    )


def _rows(table: Mapping[str, str]) -> str:
    return "".join(f"| {what} | {why} |\n" for what, why in table.items())


def _recipes() -> str:
    lines = ""
    for name, recipe in sorted(RECIPES.items()):
        own = ", ".join([*recipe.hyperparameters, *recipe.transformations])
        kind = f"{recipe.recipe_type}, {recipe.domain}" if recipe.domain else recipe.recipe_type
        lines += f"| {name} | {kind} | {own} | {', '.join(recipe.without_effect)} |\n"
    return lines


def names(service: str) -> list[str]:
    """The operations that the service of AWS has."""
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
