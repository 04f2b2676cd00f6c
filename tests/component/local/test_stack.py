"""The stack itself, with Redis and Postgres as its processes: start, restart, stop, leftovers."""

from __future__ import annotations

import os
import signal
import socket
import stat
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
import redis

from deploy.local.components import postgres
from deploy.local.errors import StackError
from deploy.local.links import links
from deploy.local.orphans import end_orphans
from deploy.local.ports import LOOPBACK, Ports, is_open
from deploy.local.stack import Stack
from deploy.local.tools import PROJECT
from tests.support.folders import stack_folder
from tests.support.waiting import PATIENCE, until


@pytest.fixture
def root() -> Iterator[Path]:
    """A folder that PostgreSQL's user may enter, which pytest's own are not."""
    with stack_folder("stack") as folder:
        yield folder


@pytest.fixture
def stack(root: Path) -> Iterator[Stack]:
    """A stack that is not started yet."""
    made = Stack(root, Ports.free(), durable=False)
    yield made
    made.stop()


@pytest.fixture
def stack_without_pages(root: Path) -> Iterator[Stack]:
    """A stack as `make run UI=0` makes it, not started yet."""
    made = Stack(root, Ports.free(), durable=False, ui=False)
    yield made
    made.stop()


def _set(stack: Stack, name: str, value: str) -> None:
    with redis.Redis.from_url(stack.environment["REDIS_URL"]) as client:
        client.set(name, value)


def _get(stack: Stack, name: str) -> object:
    with redis.Redis.from_url(stack.environment["REDIS_URL"]) as client:
        return client.get(name)


def test_what_was_written_is_there_after_the_next_start(stack: Stack) -> None:
    stack.launch(("redis", "postgres"), ends_with_caller=True)
    stack.start("redis", "postgres")
    _set(stack, "kept", "yes")
    postgres.create_database(stack.postgres_admin, "kept")

    stack.stop()
    stack.launch(("redis", "postgres"), ends_with_caller=True)
    stack.start("redis", "postgres")

    assert _get(stack, "kept") == b"yes"
    assert not postgres.create_database(stack.postgres_admin, "kept")


def test_a_killed_process_is_restarted_with_its_data(stack: Stack) -> None:
    stack.launch(("redis",), ends_with_caller=True)
    stack.start("redis")
    _set(stack, "kept", "yes")

    before = stack.kill("redis")

    until(lambda: stack.supervisor.process("redis").pid not in {0, before}, "Redis was restarted")
    stack.wait_until_ready("redis")
    assert _get(stack, "kept") == b"yes"


def test_a_second_start_is_refused(stack: Stack) -> None:
    stack.launch(("redis",), ends_with_caller=True)

    with pytest.raises(StackError, match="is already running"):
        Stack(stack.root, stack.ports).launch(("redis",))


def test_a_taken_port_is_named_with_the_variable_that_moves_it(stack: Stack) -> None:
    with socket.socket() as other:
        other.bind((LOOPBACK, stack.ports["redis"]))
        other.listen()

        with pytest.raises(StackError, match=rf"{stack.ports['redis']} .*ENDCAP_REDIS_PORT"):
            stack.launch(("redis",))


def test_everything_ends_although_the_supervisor_was_killed(stack: Stack) -> None:
    stack.launch(("redis", "postgres"), ends_with_caller=True)
    stack.start("redis", "postgres")
    os.kill(stack.supervisor.pid(), signal.SIGKILL)
    until(lambda: not stack.is_running, "the supervisor is gone")
    assert stack.is_ready("redis")

    seconds = stack.stop()

    assert seconds < 20
    assert not stack.is_ready("redis")
    assert not stack.is_ready("postgres")


def test_a_start_after_such_a_kill_takes_over(stack: Stack) -> None:
    stack.launch(("redis",), ends_with_caller=True)
    stack.start("redis")
    _set(stack, "kept", "yes")
    os.kill(stack.supervisor.pid(), signal.SIGKILL)
    until(lambda: not stack.is_running, "the supervisor is gone")

    stack.launch(("redis",), ends_with_caller=True)
    stack.start("redis")

    assert _get(stack, "kept") == b"yes"


def test_a_stack_without_pages_has_a_gateway_that_says_so(stack_without_pages: Stack) -> None:
    stack_without_pages.launch((), ends_with_caller=True)
    stack_without_pages.supervisor.start("gateway")
    stack_without_pages.wait_until_ready("gateway")

    address = f"http://127.0.0.1:{stack_without_pages.ports['gateway']}/docs/"
    assert links(stack_without_pages) == f"Open in a browser:\n\n  The API pages  {address}\n"


def test_a_killed_gateway_leaves_no_worker(stack: Stack) -> None:
    """Workers of nginx outlive their master, and would answer with its old configuration."""
    stack.launch((), ends_with_caller=True)
    stack.supervisor.start("gateway")
    stack.wait_until_ready("gateway")
    folder = stack.root / "data" / "gateway"
    workers = working_in(folder) - {stack.supervisor.process("gateway").pid}

    before = stack.kill("gateway")
    until(lambda: stack.supervisor.process("gateway").pid not in {0, before}, "the gateway was restarted")

    assert workers
    until(lambda: not workers & working_in(folder), "the workers of the killed master have ended")
    stack.wait_until_ready("gateway")

    os.kill(stack.supervisor.pid(), signal.SIGKILL)
    until(lambda: not stack.is_running, "the supervisor is gone")
    stack.stop()
    assert working_in(folder) == set()


def working_in(folder: Path) -> set[int]:
    """Return the processes whose working directory is the folder."""
    processes = set()
    for entry in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            if (entry / "cwd").readlink() == folder:
                processes.add(int(entry.name))
    return processes


def test_a_tied_stack_ends_with_a_killed_parent(root: Path) -> None:
    program = f"""
        import os, signal
        from pathlib import Path
        from deploy.local.ports import Ports
        from deploy.local.stack import Stack

        stack = Stack(Path({str(root)!r}), Ports.free())
        stack.launch(("redis",), ends_with_caller=True)
        stack.start("redis")
        print(stack.ports["redis"], flush=True)
        os.kill(os.getpid(), signal.SIGKILL)
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(program)],
        cwd=PROJECT,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )

    port = int(done.stdout)
    try:
        assert done.returncode == -signal.SIGKILL
        until(lambda: not is_open(port), "nothing listens")
    finally:
        end_orphans(root, seconds=5)


def test_an_external_component_is_left_out(root: Path) -> None:
    stack = Stack(root, Ports.free(), {"redis": "redis://cache.internal:6379/0"})

    assert stack.components == ("postgres", "kafka", "s3")
    assert stack.environment["REDIS_URL"] == "redis://cache.internal:6379/0"


def test_secrets_are_made_once_and_for_their_owner_alone(root: Path) -> None:
    first = Stack(root, Ports.free())
    second = Stack(root, Ports.free())

    assert first.secrets == second.secrets
    assert stat.S_IMODE((root / "keys" / "secrets.json").stat().st_mode) == 0o600
    assert stat.S_IMODE((root / "keys").stat().st_mode) == 0o700


def test_a_root_too_deep_for_a_socket_works(root: Path) -> None:
    deep = root / ("a" * 60) / ("b" * 60)
    stack = Stack(deep, Ports.free(), durable=False)
    stack.launch(("redis",), ends_with_caller=True)
    try:
        stack.start("redis")
        assert stack.is_ready("redis")
    finally:
        stack.stop()
