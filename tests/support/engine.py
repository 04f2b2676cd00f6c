"""The engine's commands, as processes and as calls."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from unittest import mock

import boto3

from services.engine.commands import bootstrap as bootstrapping
from services.engine.commands import declarations, grants, keys
from services.engine.settings import Settings
from shared.settings import KafkaSettings
from tests.support.kafka import kafka_environment
from tests.support.processes import ROOT, base_environment
from tests.support.stack import Database, ObjectStore
from tests.support.tenants import SECRET_KEY, SERVICE_KEY
from tests.support.waiting import PATIENCE

_COMMANDS: dict[str, Callable[[Settings, list[str]], int]] = {
    "bootstrap": bootstrapping.command,
    "keys": keys.command,
    "buckets": grants.command,
    "apply": declarations.apply,
    "export": declarations.export,
}


def engine_environment(
    database: Database, s3: ObjectStore, kafka: KafkaSettings, folder: Path
) -> dict[str, str]:
    """Return the environment of the engine's processes."""
    return {
        **database.environment,
        **s3.environment,
        **kafka_environment(kafka),
        "ENDCAP_SECRET_KEY": SECRET_KEY,
        "ENDCAP_SERVICE_KEY": SERVICE_KEY,
        # The engine runs alone: no other service confirms an erasure.
        "ENGINE_ERASURE_SERVICES": "[]",
        "ENGINE_WORK_FOLDER": str(folder / "work"),
    }


def run(*words: str, environment: dict[str, str]) -> subprocess.CompletedProcess[str]:
    """Run `python -m …` to its end; return its output and exit status."""
    return subprocess.run(
        [sys.executable, "-m", *words],
        cwd=ROOT,
        env={**base_environment(), **environment},
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )


def call(*words: str, environment: dict[str, str], stdin: str = "") -> subprocess.CompletedProcess[str]:
    """Call a command of the engine in this process; return its output and exit status as `run` does.

    Each process of a command takes a second of CPU to import. Every command also runs as a process in a test.
    """
    name, *arguments = words
    out, err = io.StringIO(), io.StringIO()
    with (
        mock.patch.dict(os.environ, {**base_environment(), **environment}, clear=True),
        mock.patch.object(boto3, "DEFAULT_SESSION", None),  # It would keep the keys of another environment.
        mock.patch.object(sys, "stdin", io.StringIO(stdin)),
        redirect_stdout(out),
        redirect_stderr(err),
        # A command runs an event loop, and the caller may be inside one.
        ThreadPoolExecutor(1) as executor,
    ):
        status = executor.submit(_exit_status, name, arguments).result(PATIENCE)
    return subprocess.CompletedProcess(words, status, out.getvalue(), err.getvalue())


def _exit_status(name: str, arguments: list[str]) -> int:
    try:
        return _COMMANDS[name](Settings(), arguments)
    except SystemExit as end:  # The parser ends the process after --help and for wrong arguments.
        return int(end.code or 0)


def bootstrap(environment: dict[str, str], path: Path) -> dict[str, str]:
    """Create the default tenant; return the content of the keys file."""
    done = call("bootstrap", "--keys", str(path), environment=environment)
    assert done.returncode == 0, done.stdout + done.stderr
    content: dict[str, str] = json.loads(path.read_text())
    return content
