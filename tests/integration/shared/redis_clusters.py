"""A Redis Cluster of three masters, and a master with a replica and sentinels, each of one test."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import redis

from deploy.local.ports import LOOPBACK
from tests.integration.shared.redis_servers import Server, free_port
from tests.support.processes import start
from tests.support.waiting import until

MASTER = "shop"
PASSWORD = "a password"
FAILOVER_MILLISECONDS = 500


def servers(folder: Path, count: int, *options: str) -> list[Server]:
    """Start servers with folders of their own, which require the password."""
    started = []
    for number in range(count):
        data = folder / f"redis-{number}"
        data.mkdir()
        login = ("--requirepass", PASSWORD, "--masterauth", PASSWORD, "--repl-diskless-sync-delay", "0")
        server = Server(data, options=(*login, *options))
        server.start()
        started.append(server)
    for server in started:
        until(lambda server=server: answers(server))
    return started


def client(server: Server) -> redis.Redis:
    return redis.Redis(host=LOOPBACK, port=server.port, password=PASSWORD, socket_timeout=5)


def answers(server: Server) -> bool:
    try:
        with client(server) as caller:
            return bool(caller.ping())
    except redis.RedisError:
        return False


@contextmanager
def cluster(folder: Path) -> Iterator[list[Server]]:
    """Yield the six nodes of a cluster, the first three of which are masters."""
    # The port of the nodes' own connections would otherwise be that of the clients and 10,000.
    nodes = []
    for number in range(6):
        data = folder / f"node-{number}"
        data.mkdir()
        nodes.append(
            Server(
                data,
                options=(
                    "--cluster-enabled", "yes", "--cluster-node-timeout", str(FAILOVER_MILLISECONDS),
                    "--cluster-port", str(free_port()), "--requirepass", PASSWORD, "--masterauth", PASSWORD,
                    "--repl-diskless-sync-delay", "0",
                ),
            )
        )  # fmt: skip
    try:
        for node in nodes:
            node.start()
        for node in nodes:
            until(lambda node=node: answers(node))
        _join(nodes)
        yield nodes
    finally:
        for node in nodes:
            node.end()


def _join(nodes: list[Server]) -> None:
    for number, node in enumerate(nodes[:3]):
        with client(node) as caller:
            first, last = number * 16384 // 3, (number + 1) * 16384 // 3 - 1
            caller.execute_command("CLUSTER", "ADDSLOTSRANGE", first, last)
            caller.execute_command("CLUSTER", "SET-CONFIG-EPOCH", number + 1)
    with client(nodes[0]) as caller:
        for node in nodes[1:]:
            bus = node.options[node.options.index("--cluster-port") + 1]
            caller.execute_command("CLUSTER", "MEET", LOOPBACK, node.port, bus)
    ids = [node_id(node) for node in nodes]
    for master, replica in zip(ids[:3], nodes[3:], strict=True):
        until(lambda replica=replica, master=master: _replicates(replica, master))
    for node in nodes:
        until(lambda node=node: _is_whole(node))


def node_id(node: Server) -> str:
    with client(node) as caller:
        return str(caller.execute_command("CLUSTER", "MYID"), "ascii")  # type: ignore[no-untyped-call]


def _replicates(node: Server, master: str) -> bool:
    with client(node) as caller:
        try:
            caller.execute_command("CLUSTER", "REPLICATE", master)
        except redis.ResponseError:
            return False  # it does not know the master yet
        return True


def _is_whole(node: Server) -> bool:
    with client(node) as caller:
        info = caller.execute_command("CLUSTER", "INFO")
        slots = caller.execute_command("CLUSTER", "SLOTS")
        text = str(info)
        return "cluster_state:ok" in text and len(slots) == 3 and all(len(row) > 3 for row in slots)


@contextmanager
def sentinel(folder: Path) -> Iterator[tuple[list[Server], list[int]]]:
    """Yield a master and a replica, and the ports of three sentinels that watch them."""
    pair = servers(folder, 2)
    ports, processes = [free_port() for _ in range(3)], []
    try:
        with client(pair[1]) as replica:
            replica.execute_command("REPLICAOF", LOOPBACK, pair[0].port)
            until(lambda: replica.info("replication")["master_link_status"] == "up")
        for port in ports:
            config = folder / f"sentinel-{port}.conf"
            config.write_text(
                f"port {port}\nbind {LOOPBACK}\n"
                f"sentinel monitor {MASTER} {LOOPBACK} {pair[0].port} 2\n"
                f'sentinel auth-pass {MASTER} "{PASSWORD}"\n'
                f"sentinel down-after-milliseconds {MASTER} {FAILOVER_MILLISECONDS}\n"
                f"sentinel failover-timeout {MASTER} 4000\n"
            )
            processes.append(start(["redis-server", str(config), "--sentinel"], stdout=subprocess.DEVNULL))
        until(lambda: all(_knows_others(port) for port in ports))
        yield pair, ports
    finally:
        for process in processes:
            process.kill()
            process.wait()
        for server in pair:
            server.end()


def _knows_others(port: int) -> bool:
    try:
        with redis.Redis(host=LOOPBACK, port=port) as caller:
            state = caller.sentinel_masters()[MASTER]
    except (redis.RedisError, KeyError):
        return False
    return state["num-other-sentinels"] == 2 and state["num-slaves"] == 1
