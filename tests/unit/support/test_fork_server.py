"""A forked service is the process that `python -m` starts."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.fork_server import ROOT, fork
from tests.support.processes import base_environment

ENVIRONMENT = {"TRACKER_PORT": "4711"}


def test_a_fork_has_the_environment_and_the_output_of_a_started_process(tmp_path: Path) -> None:
    log = tmp_path / "log"
    environment = {**base_environment(), **ENVIRONMENT}
    command = [sys.executable, "-m", "services.tracker", "settings"]
    started = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=True)

    assert fork("tracker", ["settings"], environment, log).wait(60) == 0
    assert log.read_text() == started.stdout + started.stderr
    assert "4711" in started.stdout


def test_its_exit_status_and_its_signal_are_reported(tmp_path: Path) -> None:
    refused = fork("tracker", ["no-such-command"], base_environment(), tmp_path / "refused")
    killed = fork("tracker", ["serve"], {**base_environment(), **ENVIRONMENT}, tmp_path / "killed")

    assert refused.wait(60) == 2
    assert killed.poll() is None
    with pytest.raises(subprocess.TimeoutExpired):
        killed.wait(0)
    killed.kill()
    assert killed.wait(60) == -signal.SIGKILL
    with pytest.raises(ProcessLookupError):
        os.kill(killed.pid, 0)
