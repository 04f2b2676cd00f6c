"""Other services count what they have of a user, with the credentials of the caller."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import orjson

from services.engine.store.copies import Copies, CopyCounts, lake_query

KEYS = {"histories": 2, "links": 1}


class Runs:
    """A database that has the number of runs with files."""

    async def fetchval(self, *_: object) -> int:
        return 3


@contextmanager
def owners(status: int = 200) -> Iterator[tuple[str, list[Any]]]:
    """Yield the URL of a server that answers as recommender and analytics do, and what it is sent."""
    received: list[Any] = []

    class Owner(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self._answer({"user_id": "u", "keys": KEYS})

        def do_POST(self) -> None:
            self._answer({"rows": [["interactions", 7], ["orders", 0]], "truncated": False})

        def log_message(self, *_: object) -> None:
            """Print nothing."""

        def _answer(self, document: Any) -> None:
            body = self.rfile.read(int(self.headers.get("content-length", 0)))
            received.append((self.command, self.path, self.headers["x-api-key"], body))
            content = orjson.dumps(document)
            self.send_response(status)
            self.send_header("content-length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

    server = HTTPServer(("127.0.0.1", 0), Owner)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", received
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


async def counted(url: str) -> CopyCounts:
    copies = Copies(Runs(), url, url, 30.0)  # type: ignore[arg-type]
    return await copies.count("shop", "ann's/id", {"x-api-key": "key of the caller"})


async def test_owners_count_with_the_credentials_of_the_caller() -> None:
    with owners() as (url, received):
        counts = await counted(url)

    assert counts == CopyCounts(KEYS, {"interactions": 7, "orders": 0}, {"runs_with_files": 3})
    requests = {command: (path, key, body) for command, path, key, body in received}
    assert requests["GET"] == ("/v1/user-keys/ann%27s%2Fid", "key of the caller", b"")
    path, key, body = requests["POST"]
    assert (path, key) == ("/v1/sql", "key of the caller")
    assert "'ann''s/id'" in orjson.loads(body)["query"]


async def test_an_owner_that_refuses_or_is_away_has_no_counts() -> None:
    with owners(status=503) as (url, _):
        refused = await counted(url)
    away = await counted(url)

    assert refused == away == CopyCounts(None, None, {"runs_with_files": 3})


def test_an_id_is_a_literal_of_the_query() -> None:
    assert "user_id = 'a''; DROP'" in lake_query("a'; DROP")
