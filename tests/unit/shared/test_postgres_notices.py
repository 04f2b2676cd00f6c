"""Notices over a connection that is lost, hangs or can't be made."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from shared.postgres import notices
from shared.postgres.notices import Notices

NEVER = 3_600.0


class Connection:
    """As much of asyncpg's as notices use."""

    def __init__(self, *, answers: bool = True) -> None:
        self.channel = ""
        self.terminated = False
        self._answers = answers
        self._hear: Callable[..., None] | None = None
        self._lost: Callable[..., None] | None = None

    def add_termination_listener(self, lost: Callable[..., None]) -> None:
        self._lost = lost

    async def add_listener(self, channel: str, hear: Callable[..., None]) -> None:
        self.channel, self._hear = channel, hear

    async def execute(self, _: str) -> None:
        if not self._answers:
            await asyncio.Event().wait()

    def terminate(self) -> None:
        self.terminated = True

    def notify(self, table: str) -> None:
        assert self._hear is not None
        self._hear(self, 1, self.channel, table)

    def lose(self) -> None:
        assert self._lost is not None
        self._lost(self)


class Server:
    """Gives the connections in turn; an error is raised instead."""

    def __init__(self, *made: Connection | Exception) -> None:
        self._made = list(made)

    async def connect(self) -> Any:
        if not self._made:
            await asyncio.Event().wait()
        made = self._made.pop(0)
        if isinstance(made, Exception):
            raise made
        return made


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(notices, "FIRST_PAUSE_SECONDS", 0.001)
    monkeypatch.setattr(notices, "ANSWER_SECONDS", 0.01)


async def test_a_notice_is_for_the_readers_of_its_table() -> None:
    connection = Connection()
    listening = Notices(Server(connection).connect, "sync")
    first, second, other = listening.of("outbox"), listening.of("outbox"), listening.of("jobs")
    await first.wait(NEVER)  # of the connection itself
    for each in (first, second, other):
        each.clear()

    connection.notify("outbox")
    connection.notify("a table that nobody reads")

    await first.wait(NEVER)
    await second.wait(NEVER)
    assert connection.channel == "sync"
    assert not other._given.is_set()
    await listening.stop()
    assert connection.terminated


async def test_a_notice_that_came_while_a_reader_read_is_not_missed() -> None:
    connection = Connection()
    listening = Notices(Server(connection).connect, "sync")
    notice = listening.of("outbox")
    await notice.wait(NEVER)

    notice.clear()
    connection.notify("outbox")
    await asyncio.sleep(0)  # it reads

    await notice.wait(NEVER)
    await listening.stop()


async def test_readers_look_when_the_connection_is_lost_and_when_it_is_made_again() -> None:
    first, second = Connection(), Connection()
    listening = Notices(Server(first, OSError("refused"), second).connect, "sync")
    notice = listening.of("outbox")
    await notice.wait(NEVER)
    assert notice.heard
    notice.clear()

    first.lose()
    await notice.wait(NEVER)
    heard_without = notice.heard
    while not notice.heard:
        notice.clear()
        await notice.wait(NEVER)
    notice.clear()
    second.notify("outbox")
    await notice.wait(NEVER)

    assert not heard_without
    assert first.terminated
    await listening.stop()


async def test_a_connection_that_hangs_is_made_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(notices, "PROBE_SECONDS", 0.01)
    hanging, good = Connection(answers=False), Connection()
    listening = Notices(Server(hanging, good).connect, "sync")
    notice = listening.of("outbox")

    async with asyncio.timeout(60):
        while not good.channel:
            notice.clear()
            await notice.wait(NEVER)

    assert hanging.terminated
    await listening.stop()


async def test_without_a_server_a_reader_looks_by_itself() -> None:
    listening = Notices(Server(OSError("refused")).connect, "sync")
    notice = listening.of("outbox")

    await notice.wait(0.001)

    assert not notice.heard
    await listening.stop()
