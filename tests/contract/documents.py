"""Every generated document and its file: schemas, AsyncAPI, OpenAPI, operations, the index of decisions."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path

import orjson

from shared.events.documents import asyncapi, schemas
from tests.contract.decisions import INDEX, index
from tests.contract.operations import operations

SERVICES = ("tracker", "sync", "trainer", "loader", "recommender", "router", "engine")
ROOT = Path(__file__).resolve().parents[2]


def openapi(service: str) -> bytes:
    """The OpenAPI page of a service, from its real application; nothing connects to build it."""
    settings = import_module(f"services.{service}.settings").Settings()
    app = import_module(f"services.{service}.app").build(settings)
    return orjson.dumps(app.openapi(), option=orjson.OPT_INDENT_2 | orjson.OPT_SORT_KEYS) + b"\n"


def openapi_path(service: str) -> Path:
    return ROOT / "docs" / "openapi" / f"{service}.json"


def documents() -> dict[Path, bytes]:
    """All of them, by file."""
    http = {openapi_path(service): openapi(service) for service in SERVICES}
    table = {
        Path("docs/operations.md"): operations(
            http[openapi_path("tracker")], http[openapi_path("recommender")]
        ),
        INDEX: index(),
    }
    return {ROOT / path: content for path, content in {**schemas(), **asyncapi(), **http, **table}.items()}
