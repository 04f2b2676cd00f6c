"""`make run`, `make stop` and the others, as a person at a terminal uses them."""

from __future__ import annotations

import os
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from deploy.local.ports import Ports, is_open, variable
from deploy.local.stack import COMPONENTS, Stack
from deploy.local.tools import PROJECT
from tests.support.certificates import make_certificates
from tests.support.folders import stack_folder
from tests.support.waiting import PATIENCE, until

_ADDRESSES = ("KAFKA_BOOTSTRAP_SERVERS", "DATABASE_URL", "REDIS_URL", "AWS_ENDPOINT_URL_S3")


@dataclass
class Terminal:
    """Commands of the local stack, on a root and ports of their own."""

    root: Path
    ports: Ports

    @property
    def environment(self) -> dict[str, str]:
        moved = {variable(name): str(port) for name, port in self.ports.by_name.items()}
        plain = {name: value for name, value in os.environ.items() if name not in _ADDRESSES}
        return {**plain, **moved}

    def words(self, *arguments: str) -> list[str]:
        return [sys.executable, "-m", "deploy.local", "--root", str(self.root), *arguments]

    def do(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            self.words(*arguments),
            cwd=PROJECT,
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=False,
        )

    @contextmanager
    def in_foreground(
        self,
        *arguments: str,
        until_it_says: str = "stop it with Ctrl-C",
        has_said: str = "",
        **variables: str,
    ) -> Iterator[subprocess.Popen[str]]:
        """Run a command in the foreground, once it has printed a line with some words.

        What it has printed until then contains `has_said`.
        """
        with subprocess.Popen(
            self.words(*arguments),
            cwd=PROJECT,
            env=self.environment | variables,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        ) as process:
            assert process.stdout is not None
            output = []
            for line in process.stdout:
                output.append(line)
                if until_it_says in line:
                    break
            else:
                raise AssertionError("".join(output))
            try:
                assert has_said in "".join(output)
                yield process
            finally:
                process.kill()

    def rows(self) -> dict[str, list[str]]:
        """Return the columns that `status` prints about each process."""
        return {line.split()[0]: line.split() for line in self.do("status").stdout.splitlines()[1:]}

    def is_all_ready(self) -> bool:
        """A probe of a busy machine may take longer than `status` waits for it."""
        done = self.do("status")
        rows = done.stdout.splitlines()[1:]
        return done.returncode == 0 and all(" ready " in row for row in rows)

    def anything_listens(self) -> list[str]:
        return [name for name, port in self.ports.by_name.items() if is_open(port)]


@pytest.fixture
def terminal() -> Iterator[Terminal]:
    with stack_folder("run") as folder:
        terminal = Terminal(folder, Ports.free())
        yield terminal
        Stack(terminal.root, terminal.ports).stop()


def use_as_a_client(variables: dict[str, str]) -> None:
    """Use the gateway as programs do that know the variables of `make env` alone."""
    program = "import boto3; print(boto3.client('sts').get_caller_identity()['Account'])"
    for command in (
        ["curl", "-sSf", "-H", f"x-api-key: {variables['ENDCAP_READ_KEY']}", "$ENDCAP_URL/shop/readyz"],
        [sys.executable, "-c", program],
    ):
        words = [word.replace("$ENDCAP_URL", variables["ENDCAP_URL"]) for word in command]
        own = {"PATH": os.environ["PATH"], "NO_PROXY": "*", **variables}
        done = subprocess.run(
            words, env=own, cwd=PROJECT, capture_output=True, text=True, timeout=PATIENCE, check=False
        )
        assert done.returncode == 0, done.stderr


def test_a_day_with_the_stack(terminal: Terminal) -> None:
    """A start takes most of a minute of CPU, so the things that need one are told as one story.

    The gateway has a certificate, which is for another name than the address that the shop's server calls.
    """
    files = make_certificates(terminal.root / "tls", ["localhost"])
    tls = {
        "GATEWAY_CERTIFICATE": str(files.certificate),
        "GATEWAY_CERTIFICATE_KEY": str(files.key),
        "GATEWAY_CERTIFICATE_AUTHORITY": str(files.authority),
    }
    address = f"https://localhost:{terminal.ports['gateway']}"
    with terminal.in_foreground("run", "--empty", has_said=f"{address}/shop/", **tls) as run:
        lines = (line.removeprefix("export ") for line in terminal.do("env").stdout.splitlines())
        variables = {name: shlex.split(value)[0] for name, value in (line.split("=", 1) for line in lines)}
        until(terminal.is_all_ready, every=1)

        assert variables["ENDCAP_URL"] == variables["AWS_ENDPOINT_URL"] == address
        use_as_a_client(variables)
        url, key = variables["ENDCAP_TRACKER_URL"], variables["ENDCAP_INGEST_KEY"]
        event = {"user_id": "c-1", "event_type": "view", "item_id": "i-1"}
        answer = httpx.post(
            f"{url}/v1/events", json=event, headers={"x-api-key": key}, trust_env=False, timeout=PATIENCE
        )
        assert answer.is_success, answer.text

        # Beside what a client is told, an AWS key pair needs the secret that encrypts it.
        made = terminal.do("keys", "create", "aws")
        assert made.returncode == 0, made.stderr
        assert made.stdout.split()[0].removeprefix("AWS_ACCESS_KEY_ID=") in terminal.do("keys", "list").stdout

        repeated = terminal.do("run", "--empty")
        assert repeated.returncode == 1
        assert "is already running" in repeated.stderr
        until(terminal.is_all_ready, every=1)

        begin = time.monotonic()
        run.send_signal(signal.SIGINT)
        run.wait(PATIENCE)
        assert time.monotonic() - begin < 20
    assert terminal.anything_listens() == []

    # The next start finds its data, and the stack outlives the terminal, even one that is killed so early.
    begun = "topics and tables are created"
    with terminal.in_foreground("run", "--empty", "--no-ui", until_it_says=begun, **tls) as run:
        run.send_signal(signal.SIGKILL)
        run.wait(PATIENCE)
        rows = until(
            terminal.rows,
            "the components are ready",
            enough=lambda rows: all("ready" in rows[name][4:5] for name in COMPONENTS),
            every=1,
        )
        assert "tracker" in rows
        assert not {"dashboard", "shop"} & rows.keys()

    begin = time.monotonic()
    stopped = terminal.do("stop")
    assert stopped.returncode == 0
    assert time.monotonic() - begin < 20
    assert terminal.anything_listens() == []


def test_without_a_stack_each_command_says_so(terminal: Terminal) -> None:
    assert "is not running" in terminal.do("status").stdout
    assert "was not running" in terminal.do("stop").stdout
    assert "make run" in terminal.do("load").stderr
    assert "make run" in terminal.do("keys", "list").stderr


def test_a_missing_file_is_said_before_anything_starts(terminal: Terminal) -> None:
    done = terminal.do("run", "--data", "/nowhere/orders.csv")

    assert done.returncode == 1
    assert "/nowhere/orders.csv" in done.stderr
    assert terminal.anything_listens() == []


def test_an_unknown_log_names_those_that_are(terminal: Terminal) -> None:
    (terminal.root / "logs").mkdir(exist_ok=True)
    (terminal.root / "logs" / "tracker.log").touch()

    done = terminal.do("logs", "trackr")

    assert done.returncode == 1
    assert "tracker" in done.stderr


def test_make_alone_lists_its_targets() -> None:
    done = subprocess.run(["make"], cwd=PROJECT, capture_output=True, text=True, timeout=PATIENCE, check=True)

    verbs = "run stop status logs env load test smoke bench check fmt lint types contracts clean"
    for verb in verbs.split():
        assert f"make {verb} " in done.stdout
    assert "[DATA=file or folder | EMPTY=1] [UI=0] [DETACH=1]" in done.stdout
