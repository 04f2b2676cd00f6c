"""Markers by folder, and the fixtures of tests/support. Nothing is imported from here."""

from __future__ import annotations

import functools
import gc
import os
from collections.abc import Generator
from pathlib import Path, PurePosixPath
from typing import Any

import httpx
import hypothesis
import pytest
import structlog
from fastapi.dependencies import models as _dependencies
from xdist.remote import Producer
from xdist.scheduler import LoadFileScheduling

# Unconfigured, structlog paints tracebacks, which takes seconds for a deep one.
structlog.configure(
    processors=[structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback)]
)

# Each client of httpx reads the root certificates, which takes 30 ms of CPU. One reading serves the run.
_transports: Any = httpx._transports.default
_transports.create_ssl_context = functools.cache(_transports.create_ssl_context)

# FastAPI remembers 4,096 functions of routes, each with its application. Tests make a thousand of those, and
# each full collection of garbage would look through all that are remembered.
for _name, _function in list(vars(_dependencies).items()):
    if hasattr(_function, "cache_parameters"):
        setattr(_dependencies, _name, functools.lru_cache(256)(_function.__wrapped__))

# How long one example takes says more of the machine than of what is tested.
hypothesis.settings.register_profile(
    "patient", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow]
)
hypothesis.settings.load_profile("patient")

# A broker and a Spark live for minutes here: a second compiler of Java costs more than it earns in that time.
os.environ.setdefault("JDK_JAVA_OPTIONS", "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC")

# The matrices of tests are small: a second thread of OpenBLAS would mostly spin while it waits for work.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

# A statement of a request may be late on a busy machine. Tests of these limits set their own.
os.environ |= {"DATABASE_REQUEST_SECONDS": "30", "ENDCAP_KEY_LOOKUP_SECONDS": "30"}

pytest_plugins = [
    "tests.support.processes",
    "tests.support.stack",
    "tests.support.product",
    "tests.support.shop",
    "tests.support.tools",
    "tests.support.browser",
]

_FOLDERS = {"architecture", "contract", "unit", "integration", "component", "browser", "e2e", "load"}


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """Collect tests without the garbage collector, and keep it from what was collected.

    Tests and the modules that they import are 400,000 objects or more, which live as long as the process. The
    garbage collector would look through all of them again and again: for 2 s or more while each process
    collects tests, and for up to half a second at each full collection later.
    """
    gc.disable()
    try:
        return (yield)
    finally:
        gc.enable()
        gc.collect()
        gc.freeze()


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Mark each test by the folder it is in, so that `-m e2e` selects like the path does.

    The tests of the browser come last: they make a dead letter, and `tests/e2e` ends with a look for any.
    """
    root = config.rootpath / "tests"
    for item in items:
        folder = Path(item.path).relative_to(root).parts[0] if item.path.is_relative_to(root) else ""
        if folder in _FOLDERS:
            item.add_marker(folder)
    items.sort(key=lambda item: item.get_closest_marker("browser") is not None)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> LoadFileScheduling:
    """Where several processes share the tests, those of a file or of a subject's folder stay together.

    So do all tests of the product and of its pages, which share one product and its shop. The files of a
    folder of `tests/e2e` start a stack of their own. A folder such as `tests/component/recommender/filters`
    holds the files of one subject, which share what its conftest makes once in a process. The tests of the
    house share the syntax trees of all files.
    """
    return _Together(config, log)


class _Together(LoadFileScheduling):
    def _split_scope(self, nodeid: str) -> str:
        match PurePosixPath(nodeid.partition("::")[0]).parts:
            case ("tests", "e2e", subject, _):
                return f"tests/e2e/{subject}"
            case ("tests", "e2e" | "browser", *_):
                return "the product"
            case ("tests", "architecture", _):
                return "tests/architecture"
            case ("tests", "component", service, subject, _):
                return f"tests/component/{service}/{subject}"
        return super()._split_scope(nodeid)
