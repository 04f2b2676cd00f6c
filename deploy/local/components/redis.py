"""A private Redis that keeps its data in an append-only file."""

from __future__ import annotations

import socket
from pathlib import Path

from deploy.local.ports import LOOPBACK, Ports
from deploy.local.supervisor import Program
from deploy.local.tools import Tools

# Without `set-proc-title no` Redis overwrites its environment, by which a stack knows its own.
_CONFIG = """\
bind {host}
port {port}
dir "{data}"
daemonize no
appendonly yes
save ""
set-proc-title no
"""


def program(tools: Tools, data: Path, ports: Ports) -> Program:
    """Write the configuration, and say how the server is run."""
    data.mkdir(parents=True, exist_ok=True)
    config = data.with_name("redis.conf")
    config.write_text(_CONFIG.format(host=LOOPBACK, port=ports["redis"], data=data))
    return Program("redis", [str(tools.program("redis-server")), str(config)], group="redis", stop_seconds=2)


def url(ports: Ports) -> str:
    """The address of database 0."""
    return f"redis://{LOOPBACK}:{ports['redis']}/0"


def answers(ports: Ports) -> bool:
    """Whether it answers PING, which it does only after its file is read."""
    try:
        with socket.create_connection((LOOPBACK, ports["redis"]), timeout=2) as connection:
            connection.sendall(b"PING\r\n")
            return connection.recv(16).startswith(b"+PONG")
    except OSError:
        return False
