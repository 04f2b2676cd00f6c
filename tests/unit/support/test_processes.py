"""Nothing that a test has started outlives its run, however the run ends."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import uuid
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support import leftovers
from tests.support.processes import ROOT, RUN_VARIABLE
from tests.support.waiting import until

TEST = """
import pathlib, subprocess, sys, time
from tests.support.processes import start

SLEEP = [sys.executable, "-c", "import time; time.sleep(600)"]
GRANDCHILD = f"import subprocess, time; print(subprocess.Popen({SLEEP}).pid, flush=True); time.sleep(600)"

def test_that_stays():
    tied = start(SLEEP)
    own_session = subprocess.Popen(SLEEP, start_new_session=True)
    parent = subprocess.Popen([sys.executable, "-c", GRANDCHILD], stdout=subprocess.PIPE, text=True)
    pids = [tied.pid, own_session.pid, parent.pid, int(parent.stdout.readline())]
    pathlib.Path(__file__).with_name("pids").write_text(" ".join(map(str, pids)) + " .")
    time.sleep(600)
"""

# A shell that runs these tests in the background lets them ignore Ctrl-C.
CONFTEST = """
import signal
signal.signal(signal.SIGINT, signal.default_int_handler)
"""


def kill(run: subprocess.Popen[bytes]) -> None:
    run.kill()


def press_ctrl_c(run: subprocess.Popen[bytes]) -> None:
    os.killpg(run.pid, signal.SIGINT)


@pytest.mark.parametrize("workers", [(), ("-n", "1")], ids=["alone", "xdist"])
@pytest.mark.parametrize("how", [kill, press_ctrl_c], ids=lambda how: how.__name__)
def test_processes_end_with_the_run(
    tmp_path: Path, how: Callable[[subprocess.Popen[bytes]], None], workers: tuple[str, ...]
) -> None:
    (tmp_path / "test_staying.py").write_text(TEST)
    (tmp_path / "conftest.py").write_text(CONFTEST)
    options = ["-p", "no:cacheprovider", "-p", "tests.support.processes", "-c", os.devnull, *workers]
    run = subprocess.Popen(
        [sys.executable, "-m", "pytest", *options, "--rootdir", str(tmp_path), str(tmp_path)],
        cwd=ROOT,
        start_new_session=True,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        written = tmp_path / "pids"
        pids = until(lambda: _pids(written), "the test has started its processes")
        assert len(pids) == 4
        assert all(is_alive(pid) for pid in pids)

        how(run)

        until(lambda: not any(is_alive(pid) for pid in pids), "every process has ended")
    finally:
        run.kill()
        run.wait()


def _pids(written: Path) -> list[int]:
    words = written.read_text().split() if written.exists() else []
    return [int(word) for word in words[:-1]] if words[-1:] == ["."] else []


def is_alive(pid: int) -> bool:
    """A process that has ended and whose exit nobody has collected is not alive."""
    try:
        return "State:\tZ" not in Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return False


def test_what_does_not_stop_is_killed() -> None:
    mark = uuid.uuid4().hex
    deaf = "import signal, time; signal.signal(15, signal.SIG_IGN); print(flush=True); time.sleep(600)"
    environment = {**os.environ, RUN_VARIABLE: mark}
    with subprocess.Popen([sys.executable, "-c", deaf], env=environment, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()

        leftovers.end(f"{RUN_VARIABLE}={mark}", seconds=0.2)

        assert process.wait() == -signal.SIGKILL


def test_this_run_has_a_watcher() -> None:
    """What is tested above is loaded by the project's own runs, too."""
    mark = f"{RUN_VARIABLE}={os.environ[RUN_VARIABLE]}"
    commands = [path.read_bytes() for path in Path("/proc").glob("[0-9]*/cmdline") if path.exists()]

    assert os.environ[RUN_VARIABLE].startswith(f"{os.getpid()}-")
    assert any(os.fsencode(mark) in command and b"leftovers.py" in command for command in commands)
