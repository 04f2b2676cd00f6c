"""Connections that wait are accepted many at a time, under the event loop that serves."""

from __future__ import annotations

import asyncio
import socket
from contextlib import ExitStack

import pytest
import uvloop

from shared.http.accepting import ACCEPTED_PER_TURN, Acceptor, listeners

CLIENTS = 4 * ACCEPTED_PER_TURN


class Connected(asyncio.Protocol):
    """A connection that says hello, and tells the acceptor."""

    made = 0
    acceptor: Acceptor

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.WriteTransport) or hasattr(transport, "write")
        type(self).made += 1
        self.acceptor.connected()
        transport.write(b"hello")  # type: ignore[attr-defined,union-attr]


async def turns_until_all_are_accepted() -> int:
    (listener,) = listeners("127.0.0.1", 0)
    Connected.made = 0
    Connected.acceptor = Acceptor([listener], Connected)
    loop = asyncio.get_running_loop()
    with ExitStack() as stack:
        server = await loop.create_server(Connected, sock=listener, backlog=2 * CLIENTS)
        address = listener.getsockname()
        clients = [stack.enter_context(socket.create_connection(address)) for _ in range(CLIENTS)]
        turns = 0
        while Connected.made < CLIENTS:
            await asyncio.sleep(0)
            turns += 1
        for client in clients:
            client.setblocking(False)
            assert await loop.sock_recv(client, 5) == b"hello"
        server.close()
    return turns


def test_waiting_connections_need_few_turns_of_the_loop() -> None:
    assert uvloop.run(turns_until_all_are_accepted()) < CLIENTS / 4


def test_a_port_that_is_taken_is_an_error() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken, pytest.raises(OSError, match="in use"):
        listeners("127.0.0.1", taken.getsockname()[1])
