"""Each kind of thing has one home: SQL, the environment, Kafka, the metric names."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

from deploy.local.ports import SERVICES
from tests.architecture.source import ROOT, imports, nodes, python_files, tracked

STATEMENT = re.compile(
    r"^\s*(SELECT\s|INSERT\s+INTO\s|UPDATE\s+\S+\s+SET\s|DELETE\s+FROM\s|WITH\s+\S+\s+AS\s*\(|COPY\s+\S+\s*(\(|FROM)"
    r"|(CREATE|ALTER|DROP)\s+(TABLE|VIEW|INDEX|SCHEMA|ROLE|SEQUENCE|DATABASE)\s)",
    re.IGNORECASE,
)
CODE = python_files("services", "shared")
STACK_TESTS = {"support", "integration", "component", "e2e"}
DEADLINE = re.compile(r"monotonic\(\) \+")


def test_sql_lives_in_sql_files() -> None:
    statements = [
        f"{path}:{node.lineno}"
        for path in CODE
        if path.parts[:2] != ("shared", "postgres")
        for node in nodes(path)
        if isinstance(node, ast.Constant)
        and isinstance(node.value, str)
        and STATEMENT.match(node.value)
        # A sentence in a docstring may begin with "Create".
        and not _is_docstring(path, node)
    ]

    assert not statements, "\n".join(statements)


def _is_docstring(path: Path, constant: ast.Constant) -> bool:
    owners = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    return any(
        isinstance(node, owners)
        and node.body
        and isinstance(node.body[0], ast.Expr)
        and node.body[0].value is constant
        for node in nodes(path)
    )


def test_only_settings_read_the_environment() -> None:
    reads = [
        f"{path}:{node.lineno}"
        for path in CODE
        if path.name != "settings.py"
        for node in nodes(path)
        if isinstance(node, ast.Attribute)
        and node.attr in {"environ", "getenv", "environb", "putenv"}
        and isinstance(node.value, ast.Name)
        and node.value.id == "os"
    ]

    assert not reads, "\n".join(reads)


@pytest.mark.parametrize(
    ("library", "home"),
    [
        ("faststream", "shared/kafka"),
        ("aiokafka", "shared/kafka"),
        ("boto3", "shared/s3.py"),
        ("hiredis", "shared/redis"),
    ],
)
def test_a_client_library_is_wrapped_once(library: str, home: str) -> None:
    # The trainer speaks the Personalize API through boto3, the engine tunes its transfers: in their stores.
    stores = {"services/trainer/store", "services/engine/store"}
    allowed = {"boto3": stores}.get(library, set()) | {home}

    strangers = [
        f"{path}:{line}"
        for path in CODE
        for line, name in imports(path)
        if name.split(".")[0] == library and not any(str(path).startswith(place) for place in allowed)
    ]

    assert not strangers


@pytest.mark.parametrize("service", SERVICES)
def test_only_the_store_touches_sql_redis_and_s3(service: str) -> None:
    infrastructure = ("asyncpg", "redis", "boto3", "botocore", "shared.s3", "shared.redis")
    # app.py makes the clients and hands them over; nothing else may know them.
    strangers = [
        f"{path}:{line} {name}"
        for path in python_files("services")
        if path.parts[1] == service and path.parts[2].removesuffix(".py") not in {"store", "app"}
        for line, name in imports(path)
        if name.startswith(infrastructure)
    ]

    assert not strangers


@pytest.mark.parametrize("service", SERVICES)
def test_the_domain_is_pure(service: str) -> None:
    pure = {"aws", "errors", "events", "experiments", "filters", "models"}
    strangers = [
        f"{path}:{line} {name}"
        for path in python_files("services")
        if path.parts[1] == service and path.parts[2].removesuffix(".py") in {"domain", "statistics"}
        for line, name in imports(path)
        if name.split(".")[0] in {"asyncio", "asyncpg", "redis", "boto3", "fastapi", "starlette", "time"}
        or (name.startswith("shared.") and name.split(".")[1] not in pure)
        or (
            name.startswith("services.")
            and not name.startswith((f"services.{service}.domain", f"services.{service}.statistics"))
        )
    ]

    assert not strangers


def test_what_is_shared_has_two_users_today() -> None:
    """A module with one user belongs to that user. `runtime` and the like are used by every service."""
    modules = {
        f"shared.{path.parts[1].removesuffix('.py')}"
        for path in python_files("shared")
        if path.parts[1] != "__init__.py"
    }
    users: dict[str, set[str]] = {module: set() for module in modules}
    for path in python_files("services", "shared", "deploy", "examples"):
        for _, name in imports(path):
            module = ".".join(name.split(".")[:2])
            user = (
                path.parts[1].removesuffix(".py") if path.parts[0] != "shared" else f"shared.{path.parts[1]}"
            )
            if module in users and not user.startswith(module):
                users[module].add(user)

    lonely = {module for module, who in users.items() if len(who) < 2}

    assert not lonely


def test_no_folder_is_left_without_a_reader() -> None:
    top = {path.parts[0] for path in tracked() if len(path.parts) > 1}

    assert top <= {".ci", "deploy", "docs", "requirements", "services", "shared", "tests", "examples"}


def test_tests_on_a_stack_wait_in_one_way() -> None:
    """A deadline of a test's own is sooner or later too short for a machine that is busy."""
    patient = {Path("tests/support/waiting.py")}
    waiting = [p for p in python_files("tests") if p.parts[1] in STACK_TESTS and p not in patient]
    found = [str(path) for path in waiting if DEADLINE.search((ROOT / path).read_text())]

    assert not found, "tests.support.waiting has `until` and `eventually`"


def test_what_tests_start_ends_with_the_run() -> None:
    """A process is known to belong to the run by its environment, so one of its own needs the mark."""
    without_mark = re.compile(r"env=\{(?!\s*\*\*(os\.environ|base_environment\(\)))")
    tests = [path for path in python_files("tests") if path.parts[1] in STACK_TESTS]
    found = [str(path) for path in tests if without_mark.search((ROOT / path).read_text())]

    assert not found, "tests.support.processes has `base_environment`"


def test_only_the_state_of_the_engine_reads_stored_json() -> None:
    columns = {"document", "facts"}
    reads = [
        f"{path}:{node.lineno}"
        for path in python_files("services")
        if path.parts[1] == "engine"
        for node in nodes(path)
        if (isinstance(node, ast.Subscript) or (isinstance(node, ast.Attribute) and node.attr == "get"))
        and isinstance(node.value, ast.Attribute)
        and node.value.attr in columns
    ]

    assert not reads, "Read the members of a typed state (services/engine/domain/state):\n" + "\n".join(reads)
