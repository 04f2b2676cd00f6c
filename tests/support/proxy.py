"""A TCP proxy that can hang like a frozen server, and that can lose answers."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from types import TracebackType
from typing import Self
from urllib.parse import urlsplit


class Proxy:
    """Passes connections on to the server of a URL, except between `hang` and `resume`.

    While it hangs it accepts connections and data, and sends nothing.
    """

    def __init__(self, url: str) -> None:
        self._target = urlsplit(url)
        self._flows = asyncio.Event()
        self._flows.set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server | None = None
        self.answers_to_cut = 0
        """The next answers that are lost: the server has sent them, and the connection of the client
        breaks."""

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._server is not None
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def url(self, url: str) -> str:
        """Return the same URL with the address of this proxy."""
        assert self._server is not None
        port = self._server.sockets[0].getsockname()[1]
        parts = urlsplit(url)
        credentials, at, _ = parts.netloc.rpartition("@")
        return parts._replace(netloc=f"{credentials}{at}127.0.0.1:{port}").geturl()

    def hang(self) -> None:
        """Stop passing data on, in both directions."""
        self._flows.clear()

    def resume(self) -> None:
        """Pass data on again, including what was held back."""
        self._flows.set()

    def cut_answers(self, count: int) -> None:
        """Lose the next `count` answers."""
        self.answers_to_cut = count

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        try:
            await self._flows.wait()
            upstream = await asyncio.open_connection(self._target.hostname, self._target.port)
            with suppress(OSError):
                await asyncio.gather(
                    self._pass(reader, upstream[1]), self._pass(upstream[0], writer, is_answer=True)
                )
            upstream[1].close()
        except asyncio.CancelledError:
            pass  # asyncio's own callback would report it as an error
        finally:
            writer.close()

    async def _pass(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, is_answer: bool = False
    ) -> None:
        while data := await reader.read(65_536):
            await self._flows.wait()
            if is_answer and self.answers_to_cut:
                self.answers_to_cut -= 1
                writer.transport.abort()
                return
            writer.write(data)
            await writer.drain()
        writer.close()
