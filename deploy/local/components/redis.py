"""A private Redis that stores its data in an append-only file."""

from __future__ import annotations

import socket
from pathlib import Path

from deploy.local.ports import LOOPBACK, Ports
from deploy.local.secrets import write_private
from deploy.local.supervisor import Program
from deploy.local.tools import Tools

# Without `set-proc-title no`, Redis overwrites its environment, by which the stack recognizes its processes.
_CONFIG = """\
bind {bind}
port {port}
requirepass {password}
dir "{data}"
daemonize no
appendonly yes
save ""
set-proc-title no
"""


def program(tools: Tools, data: Path, ports: Ports, password: str) -> Program:
    """Write the configuration, and return the server's program."""
    config = data.with_name("redis.conf")
    write_private(config, configuration(LOOPBACK, ports["redis"], password, data))
    return Program("redis", [str(tools.program("redis-server")), str(config)], group="redis", stop_seconds=2)


def configuration(bind: str, port: int, password: str, data: Path) -> str:
    """Return the text of redis.conf."""
    return _CONFIG.format(bind=bind, port=port, password=password, data=data)


def url(ports: Ports, password: str) -> str:
    """Return the address of database 0."""
    return f"redis://:{password}@{LOOPBACK}:{ports['redis']}/0"


def answers(ports: Ports, password: str) -> bool:
    """Return whether the server accepts the password and answers PING, as it does once its file is read."""
    try:
        with socket.create_connection((LOOPBACK, ports["redis"]), timeout=2) as connection:
            connection.sendall(f"AUTH {password}\r\nPING\r\n".encode())
            with connection.makefile("rb") as answers:
                return answers.readline() == b"+OK\r\n" and answers.readline() == b"+PONG\r\n"
    except OSError:
        return False
