"""Redis servers of one test, and a multiplexer that is connected to one."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from deploy.local.ports import LOOPBACK
from shared.redis import Multiplexer, Unavailable, create_multiplexer
from shared.settings import RedisSettings
from tests.support.processes import start
from tests.support.waiting import eventually


def free_port() -> int:
    with socket.create_server((LOOPBACK, 0)) as listener:
        return int(listener.getsockname()[1])


@dataclass
class Server:
    """A Redis of one test, which the test may kill or freeze."""

    folder: Path
    port: int = field(default_factory=free_port)
    options: tuple[str, ...] = ()
    process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"redis://{LOOPBACK}:{self.port}/0"

    def start(self) -> None:
        command = ["redis-server", "--bind", LOOPBACK, "--save", "", "--dir", str(self.folder)]
        port = () if "--tls-port" in self.options else ("--port", str(self.port))
        self.process = start([*command, *port, *self.options], stdout=subprocess.DEVNULL)

    def signal(self, number: signal.Signals) -> None:
        assert self.process is not None
        os.kill(self.process.pid, number)

    def end(self) -> None:
        if self.process is not None:
            self.process.kill()
            self.process.wait()


@asynccontextmanager
async def connected(
    address: str | RedisSettings, patience: float = 0.5, *, wait: bool = True
) -> AsyncIterator[Multiplexer]:
    settings = RedisSettings(redis_url=address) if isinstance(address, str) else address
    redis = create_multiplexer(settings, timeout=patience)
    await redis.start()
    try:
        if wait:
            await eventually(lambda: redis.up)
        yield redis
    finally:
        await redis.stop()


async def outcome(attempt: Callable[[], Awaitable[Any]]) -> Any:
    try:
        return await attempt()
    except Unavailable as error:
        return error
