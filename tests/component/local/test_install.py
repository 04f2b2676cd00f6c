"""The installer: instant when everything is there, and plain words when something is not."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from deploy.local.tools import PROJECT
from tests.support.waiting import PATIENCE

# What a shell script may take for granted anywhere.
_PLAIN = """
    awk bash cat chmod cksum cp df dirname env grep head id ls mkdir mv printf rm sed sort tail tr uname
"""


@pytest.fixture
def bare_clone(tmp_path: Path) -> Path:
    """What the installer reads, in a folder where nothing was installed."""
    for name in ("deploy/local/install", "deploy/local/kafka/pom.xml", "requirements/dev.txt"):
        target = tmp_path / "clone" / name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(PROJECT / name, target)
    return tmp_path / "clone"


@pytest.fixture
def bare_path(tmp_path: Path) -> str:
    """A PATH without Python, Maven, Redis or a package manager."""
    folder = tmp_path / "bin"
    folder.mkdir()
    for name in _PLAIN.split():
        path = shutil.which(name)
        assert path, name
        (folder / name).symlink_to(path)
    return str(folder)


def _install(clone: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["bash", str(clone / "deploy" / "local" / "install")],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )


def test_a_second_time_it_does_nothing() -> None:
    done = _install(PROJECT)

    assert done.returncode == 0
    assert done.stdout + done.stderr == ""


def test_what_is_missing_is_named_all_at_once(bare_clone: Path, bare_path: str) -> None:
    done = _install(bare_clone, PATH=bare_path)

    assert done.returncode == 1
    for name in ("Python 3.11", "Maven", "Redis", "curl"):
        assert name in done.stderr
    assert "package manager" in done.stderr


def test_too_little_disk_is_said_with_figures(bare_clone: Path, bare_path: str, tmp_path: Path) -> None:
    full = tmp_path / "full"
    full.mkdir()
    (full / "df").write_text("#!/bin/sh\necho header\necho /dev/x 10000 9000 1000 90% /\n")
    (full / "df").chmod(0o755)

    done = _install(bare_clone, PATH=f"{full}:{bare_path}")

    assert done.returncode == 1
    assert "1000 MB are free" in done.stderr
    assert len(done.stderr.splitlines()) == 1
