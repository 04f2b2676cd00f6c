"""Batch output from an object store that misbehaves."""

from __future__ import annotations

import hashlib
import socketserver
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import boto3
import pytest
from botocore.config import Config

from services.loader.domain import BatchRefused, ManifestFile
from services.loader.store import Files, files
from shared.errors import Transient
from tests.support.waiting import PATIENCE

BODY = b'{"a": 1}\n' * 1000


@contextmanager
def store_that_answers(*pieces: bytes, hang: bool = False) -> Iterator[Files]:
    """An HTTP server that sends the same bytes to whoever connects; then it may hang until nobody reads."""
    closing, hung = threading.Event(), list[bool]()

    class Handler(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            self.request.recv(65_536)
            for piece in pieces:
                self.request.sendall(piece)
            if hang:
                hung.append(closing.wait(PATIENCE))

    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield Files(
                boto3.client(
                    "s3",
                    endpoint_url=f"http://127.0.0.1:{server.server_address[1]}",
                    region_name="us-east-1",
                    aws_access_key_id="key",
                    aws_secret_access_key="secret",
                    config=Config(
                        s3={"addressing_style": "path"},
                        retries={"total_max_attempts": 1},
                        read_timeout=2 * PATIENCE,
                    ),
                )
            )
        finally:
            closing.set()
            server.shutdown()
            thread.join()
    assert all(hung), "the event loop waited for the store"


def an_answer(body: bytes, *, status: str = "200 OK", length: int | None = None) -> bytes:
    head = f"HTTP/1.1 {status}\r\nContent-Length: {len(body) if length is None else length}\r\n"
    return head.encode() + b"Connection: close\r\n\r\n" + body


def a_file(body: bytes = BODY) -> ManifestFile:
    return ManifestFile(
        key="default/runs/7/x.out", rows=1000, bytes=len(body), sha256=hashlib.sha256(body).hexdigest()
    )


async def read(store: Files, file: ManifestFile) -> list[bytes]:
    return [line async for lines in store.lines("endcap-data", file) for line in lines]


async def test_a_whole_file_comes_line_by_line() -> None:
    with store_that_answers(an_answer(BODY)) as store:
        assert await read(store, a_file()) == [b'{"a": 1}'] * 1000


@pytest.mark.parametrize("status", ["503 Slow Down", "500 Internal Server Error", "404 Not Found"])
async def test_a_store_in_trouble_is_asked_again_later(status: str) -> None:
    with (
        store_that_answers(an_answer(b"", status=status)) as store,
        pytest.raises(Transient, match=r"x\.out"),
    ):
        await read(store, a_file())


async def test_a_body_that_breaks_off_is_asked_for_again() -> None:
    with (
        store_that_answers(an_answer(BODY[:4000], length=len(BODY))) as store,
        pytest.raises(Transient, match="broke off"),
    ):
        await read(store, a_file())


async def test_a_body_that_never_comes_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "CHUNK_SECONDS", 0.3)
    with (
        store_that_answers(an_answer(BODY[:10], length=len(BODY)), hang=True) as store,
        pytest.raises(Transient, match="too slowly"),
    ):
        await read(store, a_file())


async def test_a_file_that_is_another_one_is_refused() -> None:
    other = BODY.replace(b"1", b"2")
    with (
        store_that_answers(an_answer(other)) as store,
        pytest.raises(BatchRefused, match="not the file that the manifest"),
    ):
        await read(store, a_file())


async def test_a_line_without_an_end_is_refused_before_it_fills_the_memory(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(files, "MAX_LINE_BYTES", 1000)
    endless = b"x" * 100_000
    with (
        store_that_answers(an_answer(endless)) as store,
        pytest.raises(BatchRefused, match="line longer than 1000"),
    ):
        await read(store, a_file(endless))
