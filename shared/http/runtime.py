"""The life of a process: settings, logs, parts, HTTP, signals.

Every process of every service is an ASGI application under uvicorn: the service's routes (none for a worker),
probes and `/metrics`, and the parts (pools, producers, consumers, periodic tasks), which start before the
first request and stop after the last one.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import sys
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from http import HTTPStatus
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

import orjson
import structlog
from fastapi import APIRouter, FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, Field
from starlette.exceptions import HTTPException

from shared import observability
from shared.errors import ApiError, Transient, unavailable
from shared.http import BoundedBodies, UnknownParameters, api_pages, probes, server
from shared.http.unexpected_errors import UnexpectedErrors
from shared.postgres import REFUSED, UNAVAILABLE, migrate, refusal
from shared.settings import HttpSettings, PostgresSettings, ServiceSettings

if TYPE_CHECKING:
    from starlette.types import ASGIApp

VERSION = "0.3.0"
STOP_SECONDS = 8.0
"""Time that one part may take to stop; arbitrary."""

PORT_OFFSETS = {"serve": 0, "worker": 100, "relay": 200, "schedule": 300}

log = structlog.get_logger()

SettingsType = TypeVar("SettingsType", bound=ServiceSettings)
FunctionType = TypeVar("FunctionType", bound=Callable[..., Any])


class Part(Protocol):
    """A component that lives as long as its process.

    `start` never waits for a dependency, since HTTP must answer without it. `alive` and `ready` return None
    when all is well, else a sentence with the problem.
    """

    name: str

    async def start(self) -> None:
        """Start; work that takes time continues in a task."""

    async def stop(self) -> None:
        """Stop within a few seconds, even if the dependency hangs."""

    def alive(self) -> str | None:
        """Return why only a restart would help, else None."""

    def ready(self) -> str | None:
        """Return why requests should go elsewhere for now, else None."""


class ErrorBody(BaseModel):
    """The body of every answer that is not a success."""

    error: str = Field(description="a code for programs, such as UnknownRecipe")
    detail: str = Field(description="a sentence for people: what happened, which input, what to do")


ERRORS: dict[int | str, dict[str, Any]] = {
    400: {"model": ErrorBody, "description": "The request can't be understood or is not valid."},
    401: {"model": ErrorBody, "description": "No credentials, or unknown ones."},
    403: {"model": ErrorBody, "description": "The key's scopes don't cover this call."},
    503: {"model": ErrorBody, "description": "A dependency is not reachable; send the same request again."},
}
"""The errors of every route; a route adds its own."""


def application(
    service: str,
    *,
    parts: Sequence[Part],
    routers: Sequence[APIRouter] = (),
    description: str = "",
    http: HttpSettings | None = None,
) -> FastAPI:
    """Return a process as an ASGI application: routes, probes, metrics, error answers, and its parts.

    Parts start in their order and stop in reverse.
    """

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        started: list[Part] = []
        try:
            for part in parts:
                started.append(part)
                await part.start()
            log.info("runtime.started", service=service, parts=[part.name for part in parts])
            yield
        finally:
            for part in reversed(started):
                await _stop(part)
            log.info("runtime.stopped", service=service)

    app = FastAPI(
        title=f"Endcap {service}",
        version=VERSION,
        description=description,
        lifespan=lifespan,
        responses=ERRORS,
        redirect_slashes=False,
        docs_url=None,  # FastAPI's pages load scripts from another host; /docs is `api_pages`
        redoc_url=None,
        generate_unique_id_function=lambda route: route.name,
    )
    for router in routers:
        app.include_router(router)
    app.include_router(probes(service, parts))
    app.include_router(api_pages(app, service))
    app.add_middleware(BoundedBodies)
    if http is not None and http.http_report_unknown_parameters:
        app.add_middleware(UnknownParameters)
    app.add_middleware(UnexpectedErrors)
    app.add_middleware(observability.tracing.TracedRequests)
    _answer_errors(app)
    _document_errors(app)
    return app


def _document_errors(app: FastAPI) -> None:
    """Remove the 422 from the OpenAPI document: `_answer_errors` answers an invalid request with 400."""
    write = app.openapi

    def openapi() -> dict[str, Any]:
        page = write()
        for methods in page["paths"].values():
            for operation in methods.values():
                operation["responses"].pop("422", None)
        for name in ("HTTPValidationError", "ValidationError"):
            page.get("components", {}).get("schemas", {}).pop(name, None)
        return page

    app.openapi = openapi  # type: ignore[method-assign] # FastAPI's documented way to extend the page


async def _stop(part: Part) -> None:
    try:
        async with asyncio.timeout(STOP_SECONDS):
            await part.stop()
    except TimeoutError:
        log.warning("runtime.part_stop_timed_out", part=part.name, seconds=STOP_SECONDS)
    except Exception:
        log.exception("runtime.part_stop_failed", part=part.name)


_CLOSING = frozenset({408, 413})
"""Statuses after which the connection is closed: the client may still be sending a body that is not read."""


def error_response(error: ApiError) -> Response:
    """Return the response of an `ApiError`, with a body as in `ErrorBody`."""
    headers = {} if error.retry_after is None else {"Retry-After": str(error.retry_after)}
    if error.status in _CLOSING:
        headers["Connection"] = "close"
    body = orjson.dumps({"error": error.code, "detail": error.detail})
    return Response(body, error.status, headers, "application/json")


def _answer_errors(app: FastAPI) -> None:
    async def api_error(_: Request, error: Exception) -> Response:
        assert isinstance(error, ApiError)
        return error_response(error)

    async def transient(_: Request, error: Exception) -> Response:
        log.warning("http.dependency_unavailable", error=repr(error))
        return error_response(ApiError(503, "Unavailable", str(error), retry_after=1))

    async def postgres_unavailable(_: Request, error: Exception) -> Response:
        log.warning("http.postgres_unavailable", error=repr(error))
        return error_response(unavailable("Postgres"))

    async def invalid(_: Request, error: Exception) -> Response:
        assert isinstance(error, RequestValidationError)
        return error_response(ApiError(400, "InvalidRequest", _problems(error)))

    async def http(_: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        phrase = HTTPStatus(error.status_code).phrase.title().replace(" ", "")
        code = "TooLarge" if error.status_code == HTTPStatus.REQUEST_ENTITY_TOO_LARGE else phrase
        return error_response(ApiError(error.status_code, code, str(error.detail)))

    async def value_refused(_: Request, error: Exception) -> Response:
        if (why := refusal(error)) is None:
            raise error
        log.warning("http.value_refused", error=repr(error))
        return error_response(ApiError(400, "InvalidRequest", why))

    app.add_exception_handler(ApiError, api_error)
    app.add_exception_handler(Transient, transient)
    app.add_exception_handler(RequestValidationError, invalid)
    app.add_exception_handler(HTTPException, http)
    for exception_class in UNAVAILABLE:
        app.add_exception_handler(exception_class, postgres_unavailable)
    for exception_class in REFUSED:
        app.add_exception_handler(exception_class, value_refused)


def _problems(error: RequestValidationError) -> str:
    return "; ".join(
        f"{'.'.join(map(str, problem['loc']))}: {problem['msg']}" for problem in error.errors()[:5]
    )


def main(
    settings_class: type[SettingsType],
    processes: Mapping[str, Callable[[SettingsType], ASGIApp] | str],
    commands: Mapping[str, Callable[[SettingsType, list[str]], int] | str] | None = None,
) -> None:
    """Run `python -m services.<name> [process or command]`, by default `serve`.

    Each is a function, or the path of one as `module:name`, which is imported only if it runs.

    Raises SystemExit with the exit status of a command.
    """
    commands = commands or {}
    service = settings_class.service
    parser = argparse.ArgumentParser(
        prog=f"python -m services.{service}",
        description=f"Endcap's {service}. Settings come from the environment; `settings` shows them.",
    )
    parser.add_argument(
        "what",
        nargs="?",
        default="serve",
        choices=[*processes, "migrate", "settings", "openapi", *commands],
        metavar="what",
        help="a process or command: %(choices)s; default: serve",
    )
    # Arguments after a command belong to it, `--help` included.
    own = sys.argv[2:] if len(sys.argv) > 1 and sys.argv[1] in commands else []
    arguments = parser.parse_args(sys.argv[1 : len(sys.argv) - len(own)])
    settings = settings_class()
    match arguments.what:
        case "settings":
            _print(settings.described())
        case "openapi":
            app = _imported(processes["serve"])(settings)
            _print(getattr(app, "openapi")())  # noqa: B009 - every serve process documents itself
        case "migrate":
            raise SystemExit(_migrate(service))
        case name if name in commands:
            observability.configure(service, settings.observability)
            raise SystemExit(_imported(commands[name])(settings, own))
        case name:
            app = _imported(processes[name])(settings)
            _serve(f"{service}-{name}", app, settings, PORT_OFFSETS[name])


def _imported(function: FunctionType | str) -> FunctionType:
    if not isinstance(function, str):
        return function
    module, _, name = function.partition(":")
    imported: FunctionType = getattr(import_module(module), name)
    return imported


def _serve(process: str, app: ASGIApp, settings: ServiceSettings, offset: int) -> None:
    observability.configure(process, settings.observability)
    # Objects so far live as long as the process, and requests create few cycles. Without this, garbage
    # collection takes a fifth of the CPU time of a busy process (measured).
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 50)
    server.run(app, settings.host, settings.port + offset, settings.http, settings.saturated_status)


def _migrate(service: str) -> int:
    directory = Path("services") / service / "migrations"
    applied = asyncio.run(migrate(PostgresSettings().secured_url, service, directory))
    sys.stdout.write(f"{service}: {', '.join(applied) if applied else 'nothing to migrate'}\n")
    return 0


def _print(document: object) -> None:
    sys.stdout.buffer.write(orjson.dumps(document, option=orjson.OPT_INDENT_2) + b"\n")
