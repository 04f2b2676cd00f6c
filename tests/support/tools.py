"""Third-party programs that tests run as users do, installed when a test first needs them.

They stay in `.local/tools` for the next run, each with a hash of the lock files that it was installed from.
The installation of the project itself needs none of them.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from tests.support.processes import ROOT
from tests.support.waiting import PATIENCE

# Programs contain the path that they were installed at: resolve links first.
_TOOLS = (ROOT / ".local").resolve() / "tools"


@pytest.fixture(scope="session")
def aws_command() -> Path:
    """Return the folder of the real `aws` command."""
    return _environment("aws-cli") / "bin"


@pytest.fixture(scope="session")
def tracking_python() -> Path:
    """Return a Python that has the clients of Segment, RudderStack, PostHog, Snowplow and CloudEvents."""
    return _environment("tracking-clients") / "bin" / "python"


def _environment(name: str) -> Path:
    """Return a virtual environment with the packages of a lock of this name."""
    lock = ROOT / "requirements" / f"{name}.txt"
    uv = str(ROOT / ".local" / "bootstrap" / "bin" / "uv")

    def install(folder: Path) -> None:
        _run([uv, "venv", "--quiet", "--clear", str(folder)])
        python = str(folder / "bin" / "python")
        sync = [uv, "pip", "sync", "--quiet", "--compile-bytecode", "--require-hashes"]
        _run([*sync, "--python", python, str(lock)])

    return _installed(name, [lock], install)


@pytest.fixture(scope="session")
def promtool() -> Path:
    """Return Prometheus's program that checks and tests rules."""
    return _program_of_debian("promtool", "prometheus")


@pytest.fixture(scope="session")
def amtool() -> Path:
    """Return Alertmanager's program that checks its configuration and tests its routes."""
    return _program_of_debian("amtool", "prometheus-alertmanager")


def _program_of_debian(name: str, package: str) -> Path:
    """Return a program of the path, else from Debian's package, unpacked."""
    installed = shutil.which(name)
    if installed is not None:
        return Path(installed)

    def install(folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        _run(["apt-get", "download", package], folder)
        for file in folder.glob(f"{package}_*.deb"):
            _run(["dpkg", "-x", str(file), str(folder)])
            file.unlink()

    return _installed(package, [], install) / "usr/bin" / name


def install_faketime() -> Path:
    """Return Debian's library that moves the clock of a process that preloads it, unpacked."""

    def install(folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        _run(["apt-get", "download", "libfaketime"], folder)
        for package in folder.glob("libfaketime_*.deb"):
            _run(["dpkg", "-x", str(package), str(folder)])
            package.unlink()

    folder = _installed("faketime", [], install)
    return next(folder.glob("usr/lib/*/faketime/libfaketime.so.1"))


@pytest.fixture(scope="session")
def spark_packages() -> Path:
    """Return a folder with PySpark, to append to PYTHONPATH."""
    lock = ROOT / "requirements" / "spark.txt"
    uv = str(ROOT / ".local" / "bootstrap" / "bin" / "uv")

    def install(folder: Path) -> None:
        command = [uv, "pip", "install", "--quiet", "--require-hashes", "--no-deps"]
        # PySpark has no wheel: one is built here, and used once.
        command += ["--config-settings=--build-option=--compression=stored"]
        _run([*command, "--python", sys.executable, "--target", str(folder), "-r", str(lock)])

    return _installed("spark", [lock], install)


@pytest.fixture(scope="session")
def javascript_sdk() -> Path:
    """Return a folder whose node_modules contain AWS's SDK for JavaScript."""
    return _node_modules("javascript")


@pytest.fixture(scope="session")
def graphql_clients() -> Path:
    """Return a folder whose node_modules contain the clients of AWS AppSync."""
    return _node_modules("graphql")


@pytest.fixture(scope="session")
def tracking_node() -> Path:
    """Return a folder whose node_modules contain the clients of Segment, RudderStack, PostHog and
    Snowplow."""
    return _node_modules("trackers")


@pytest.fixture(scope="session")
def browser_trackers() -> Path:
    """Return the node_modules with the browser clients of Segment, RudderStack, PostHog and Snowplow."""
    return _node_modules("browser_trackers") / "node_modules"


def _node_modules(name: str) -> Path:
    """Return a folder with the packages that the lock file in this folder of tests/e2e names."""
    if shutil.which("node") is None:
        pytest.skip("this machine has no node, which only users of JavaScript need")
    source = ROOT / "tests" / "e2e" / name

    def install(folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        for file in ("package.json", "package-lock.json"):
            shutil.copy(source / file, folder)
        _run(["npm", "ci", "--no-audit", "--no-fund", "--ignore-scripts"], folder)

    return _installed(name, [source / "package.json", source / "package-lock.json"], install)


def _installed(name: str, locks: Sequence[Path], install: Callable[[Path], None]) -> Path:
    """Return the folder of a tool, installed unless it was installed from the same lock files."""
    folder = _TOOLS / name
    stamp = folder / ".installed"
    content = b"".join([str(folder).encode(), *(lock.read_bytes() for lock in locks)])
    digest = hashlib.sha256(content).hexdigest()
    _TOOLS.mkdir(parents=True, exist_ok=True)
    with (_TOOLS / f"{name}.lock").open("w") as lock_file:
        fcntl.flock(lock_file, fcntl.LOCK_EX)
        if not stamp.exists() or stamp.read_text() != digest:
            shutil.rmtree(folder, ignore_errors=True)
            install(folder)
            stamp.write_text(digest)
    return folder


def _run(command: Sequence[str], folder: Path = ROOT) -> None:
    done = subprocess.run(
        command,
        cwd=folder,
        env=dict(os.environ),
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    assert done.returncode == 0, f"{' '.join(command)} failed:\n{done.stdout}{done.stderr}"
