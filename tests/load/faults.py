"""Faults of the whole product while it is under load: clocks, workers, restarts, and stores that are away.

Each function makes a fault, takes it back, and returns what it measured as words.
"""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import asyncpg
import httpx

from deploy.local.ports import WORKER_OFFSET
from deploy.local.tools import PROJECT
from tests.support.processes import free_port
from tests.support.product import Endcap
from tests.support.tools import install_faketime
from tests.support.waiting import PATIENCE


@dataclass(frozen=True)
class Size:
    """The seconds of each fault, and the rounds of workers that come and go."""

    seconds: float
    rounds: int
    every_seconds: float


def nothing(_: Endcap, size: Size) -> str:
    """Wait for half the time of a fault."""
    time.sleep(size.seconds / 2)
    return ""


def clocks_apart(endcap: Endcap, size: Size) -> str:
    """Run the tracker an hour ahead, and its store, histories and experiments an hour behind."""
    library = install_faketime()
    hours = {"tracker": 1, "tracker-worker": -1, "recommender-worker": -1, "router-worker": -1}
    with ExitStack() as ends:
        for name, offset in hours.items():
            variables = {
                "LD_PRELOAD": str(library),
                "FAKETIME": f"{offset:+d}h",
                "FAKETIME_DONT_FAKE_MONOTONIC": "1",
            }
            endcap.stop(name)
            ends.callback(endcap.start, name)
            ends.enter_context(_process(endcap, name, variables))
            endcap.wait_healthy(name)
        time.sleep(size.seconds)
    return "tracker + 1 h, its worker, the recommender's and the router's - 1 h"


def slow_store(endcap: Endcap, size: Size) -> str:
    """Let the store of events run a twentieth of the time, and measure its memory and its lag."""
    pid, before, most, lag = endcap.pid("tracker-worker"), 0.0, 0.0, 0.0
    before = _resident_mib(pid)
    until = time.monotonic() + 2 * size.seconds
    while time.monotonic() < until:
        endcap.kill("tracker-worker", signal.SIGSTOP)
        time.sleep(0.95)
        endcap.kill("tracker-worker", signal.SIGCONT)
        time.sleep(0.05)
        most = max(most, _resident_mib(pid))
    lag = _metric(endcap, "tracker-worker", "endcap_kafka_consumer_lag")
    is_same = endcap.pid("tracker-worker") == pid
    return f"store at a 20th: {before:.0f} MiB, at most {most:.0f}; lag {lag:,.0f}; restarted: {not is_same}"


def without_kafka(endcap: Endcap, size: Size) -> str:
    """Stop Kafka, and measure the memory of the tracker meanwhile."""
    pid = endcap.pid("tracker")
    before = most = _resident_mib(pid)
    endcap.stop("kafka")
    until = time.monotonic() + 3 * size.seconds
    while time.monotonic() < until:
        time.sleep(0.5)
        most = max(most, _resident_mib(pid))
    endcap.start("kafka")
    return (
        f"tracker {before:.0f} MiB, at most {most:.0f} while Kafka was stopped for {3 * size.seconds:.0f} s"
    )


def workers_come_and_go(endcap: Endcap, size: Size) -> str:
    """Run one worker of the tracker, then four, then one again; they end by SIGTERM and SIGKILL in turn."""
    for number in range(size.rounds):
        with ExitStack() as ends:
            for _ in range(3):
                port = free_port()
                variables = {"TRACKER_PORT": str(port - WORKER_OFFSET)}
                number_of_signal = signal.SIGTERM if number % 2 else signal.SIGKILL
                ends.enter_context(_process(endcap, "tracker-worker", variables, number_of_signal))
            time.sleep(size.every_seconds)
        time.sleep(size.every_seconds)
    return f"1 → 4 → 1 workers, {size.rounds} times"


def rolling_restart(endcap: Endcap, _: Size) -> str:
    """Restart each process of the services by SIGTERM."""
    slowest, count = 0.0, 0
    for program in endcap.stack.processes():
        if program.group != "endcap":
            continue
        began = time.monotonic()
        endcap.stop(program.name)
        slowest = max(slowest, time.monotonic() - began)
        endcap.start(program.name)
        count += 1
    return f"{count} processes, the slowest ended {slowest:.1f} s after SIGTERM"


def no_connections(endcap: Endcap, size: Size) -> str:
    """Take every connection of Postgres, those of the services too, for a while."""
    return asyncio.run(_take_connections(endcap.stack.environment["DATABASE_URL"], size.seconds))


async def _take_connections(url: str, seconds: float) -> str:
    taken: list[asyncpg.Connection] = []
    most = 0
    ends = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename <> current_user"
    until = time.monotonic() + seconds
    try:
        while time.monotonic() < until:
            with suppress(asyncpg.PostgresError, OSError):
                while True:
                    taken.append(await asyncpg.connect(url, timeout=5))
            most = max(most, len(taken))
            if len(taken) == most:  # the services lose theirs, and the next turn takes them
                await taken[0].execute(ends)
            await asyncio.sleep(0.1)
    finally:
        for connection in taken:
            await connection.close()
    return f"{most} connections taken"


@contextmanager
def _process(
    endcap: Endcap, name: str, variables: Mapping[str, str], end: signal.Signals = signal.SIGTERM
) -> Iterator[None]:
    """Run a further process of a service, or one in place of a stopped one."""
    service, _, command = name.partition("-")
    with tempfile.TemporaryFile() as log:
        process = subprocess.Popen(
            [sys.executable, "-m", f"services.{service}", command or "serve"],
            cwd=PROJECT,
            env={"PATH": os.environ["PATH"], **endcap.stack.environment, **variables},
            stdout=log,
            stderr=log,
        )
        try:
            yield
        finally:
            process.send_signal(end)
            process.wait(PATIENCE)


def _resident_mib(pid: int) -> float:
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


def _metric(endcap: Endcap, name: str, metric: str) -> float:
    """Return the sum of a metric of a worker."""
    service = name.partition("-")[0]
    port = endcap.stack.ports[service] + WORKER_OFFSET
    text = httpx.get(f"http://127.0.0.1:{port}/metrics", timeout=PATIENCE, trust_env=False).text
    lines = [line for line in text.splitlines() if line.startswith(metric)]
    return sum(float(line.rpartition(" ")[2]) for line in lines)
