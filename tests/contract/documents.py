"""Every generated file: schemas, AsyncAPI, OpenAPI, operations, metrics, decisions, dashboards."""

from __future__ import annotations

from functools import cache
from importlib import import_module
from pathlib import Path

import orjson

from deploy.gateway.compose import CONFIGURATION, configuration
from deploy.grafana import boards
from deploy.local.ports import SERVICES
from shared.events.documents import schemas
from tests.contract.decisions import INDEX, index
from tests.contract.metrics import PAGE, page
from tests.contract.operations import operations
from tests.contract.wiring import wiring_of

ROOT = Path(__file__).resolve().parents[2]


@cache
def openapi(service: str) -> bytes:
    """Return the OpenAPI document of a service, from its real application; nothing connects."""
    settings = import_module(f"services.{service}.settings").Settings()
    app = import_module(f"services.{service}.app").build(settings)
    return orjson.dumps(app.openapi(), option=orjson.OPT_INDENT_2 | orjson.OPT_SORT_KEYS) + b"\n"


def openapi_path(service: str) -> Path:
    return ROOT / "docs" / "openapi" / f"{service}.json"


@cache
def asyncapi(service: str) -> bytes:
    """Return the AsyncAPI document that FastStream generates from the wiring of a service."""
    document = wiring_of(service).asyncapi(f"Endcap {service}")
    return orjson.dumps(document, option=orjson.OPT_INDENT_2 | orjson.OPT_SORT_KEYS) + b"\n"


def asyncapi_path(service: str) -> Path:
    return ROOT / "docs" / "asyncapi" / f"{service}.json"


def documents() -> dict[Path, bytes]:
    """Return all of them by file."""
    http = {openapi_path(service): openapi(service) for service in SERVICES}
    events = {asyncapi_path(service): asyncapi(service) for service in SERVICES}
    table = {
        Path("docs/operations.md"): operations(
            http[openapi_path("tracker")], http[openapi_path("recommender")]
        ),
        INDEX: index(),
        PAGE: page(),
        CONFIGURATION: configuration().encode(),
    }
    return {
        ROOT / path: content
        for path, content in {**schemas(), **events, **http, **table, **boards.documents()}.items()
    }
