"""A private PostgreSQL cluster, run as the user `postgres` if the caller is root."""

from __future__ import annotations

import asyncio
import shutil
import subprocess
from collections.abc import Coroutine
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import asyncpg

from deploy.local.components.users import as_unprivileged_user
from deploy.local.errors import StackError
from deploy.local.ports import LOOPBACK, Ports
from deploy.local.supervisor import Program
from deploy.local.tools import Tools

ADMINISTRATOR = "postgres"
DATABASE = "endcap"

# Enough for the pools of all processes of the services, and for psql.
_CONNECTIONS = 300


def program(tools: Tools, data: Path, ports: Ports, password: str, *, durable: bool) -> Program:
    """Create the cluster if necessary, and return the server's program.

    `durable=False` disables the flushes that are needed only for a crash of the machine.
    """
    as_user = as_unprivileged_user(data, ADMINISTRATOR)
    cluster = data / "cluster"
    if not cluster.exists():
        _initialise(tools, cluster, password, as_user)
    options = {
        "listen_addresses": LOOPBACK,
        "port": str(ports["postgres"]),
        "unix_socket_directories": "",
        "max_connections": str(_CONNECTIONS),
        "timezone": "UTC",
        "log_line_prefix": "%m [%p] %q%u@%d ",
    }
    if not durable:
        options |= {"fsync": "off", "full_page_writes": "off", "max_wal_size": "256MB"}
    settings = [word for name, value in options.items() for word in ("-c", f"{name}={value}")]
    return Program(
        "postgres",
        [*as_user, str(tools.program("postgres").resolve()), "-D", str(cluster), *settings],
        group="postgres",
        stop_seconds=4,
        stop_signal="INT",  # fast shutdown: end all sessions, and write everything
    )


def url(ports: Ports, password: str, *, role: str = ADMINISTRATOR, database: str = DATABASE) -> str:
    """Return the address of a database for a role."""
    return f"postgresql://{role}:{password}@{LOOPBACK}:{ports['postgres']}/{database}"


def answers(address: str) -> bool:
    """Return whether the server accepts a session of the administrator."""
    try:
        _run(_execute(address, "SELECT 1"))
    except (OSError, asyncpg.PostgresError):
        return False
    return True


def create_database(address: str, name: str, *, template: str = "template1") -> bool:
    """Create a database on the server of the address; return False if it exists."""
    try:
        _run(_execute(address, f'CREATE DATABASE "{name}" TEMPLATE "{template}"'))
    except asyncpg.DuplicateDatabaseError:
        return False
    return True


def drop_database(address: str, name: str) -> None:
    """Drop a database, and end its sessions."""
    _run(_execute(address, f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)'))


def rows(address: str, query: str) -> list[tuple[Any, ...]]:
    """Return the rows of a query."""
    return [tuple(row) for row in _run(_execute(address, query))]


def _run(work: Coroutine[Any, Any, list[Any]]) -> list[Any]:
    """Run a coroutine in a thread, since the caller may be inside an event loop."""
    with ThreadPoolExecutor(1) as executor:
        return executor.submit(asyncio.run, work).result()


async def _execute(address: str, statement: str) -> list[Any]:
    connection = await asyncpg.connect(address, timeout=10)
    try:
        return list(await connection.fetch(statement))
    finally:
        await connection.close()


def _initialise(tools: Tools, cluster: Path, password: str, as_user: list[str]) -> None:
    initdb = str(tools.program("initdb").resolve())
    password_file = cluster.with_name(".password")
    # Create it under another name and rename it, so that an interrupted start leaves no incomplete cluster.
    new_cluster = cluster.with_name(".new")
    shutil.rmtree(new_cluster, ignore_errors=True)
    password_file.unlink(missing_ok=True)
    password_file.touch(mode=0o600)
    password_file.write_text(password)
    if as_user:
        shutil.chown(password_file, ADMINISTRATOR)
    options = ["-D", str(new_cluster), "-U", ADMINISTRATOR, f"--pwfile={password_file}"]
    options += ["-A", "scram-sha-256", "-E", "UTF8", "--locale=C.UTF-8"]
    process = subprocess.run(
        [*as_user, initdb, *options], capture_output=True, text=True, timeout=120, check=False
    )
    password_file.unlink()
    if process.returncode != 0:
        raise StackError(f"PostgreSQL's cluster could not be created: {process.stdout}{process.stderr}")
    new_cluster.rename(cluster)
