"""The engine's commands, run as `make run` runs them."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from shared.settings import KafkaSettings
from tests.support.kafka import kafka_environment
from tests.support.processes import ROOT, base_environment
from tests.support.stack import Database, ObjectStore
from tests.support.tenants import SECRET_KEY, SERVICE_KEY
from tests.support.waiting import PATIENCE


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


def bootstrap(environment: dict[str, str], path: Path) -> dict[str, str]:
    """Create the default tenant; return the content of the keys file."""
    done = run("services.engine", "bootstrap", "--keys", str(path), environment=environment)
    assert done.returncode == 0, done.stdout + done.stderr
    keys: dict[str, str] = json.loads(path.read_text())
    return keys
