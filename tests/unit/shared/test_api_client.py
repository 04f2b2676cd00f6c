"""Commands that call the gateway send again what is refused for a moment, and no more than that."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer

import orjson
import pytest

from shared.api_client import Api


@contextmanager
def gateway(*statuses: int) -> Iterator[tuple[str, list[str]]]:
    """Answer each request with the next status; yield the address and the methods that were received."""
    left, methods = list(statuses), list[str]()

    class Answers(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            methods.append(self.command)
            body = orjson.dumps({"detail": "later"})
            self.send_response(left.pop(0))
            self.send_header("retry-after", "0")
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        do_POST = do_GET  # noqa: N815 - a name of the library

        def log_message(self, *_: object) -> None: ...

    server = HTTPServer(("127.0.0.1", 0), Answers)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", methods
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def test_what_is_refused_for_its_rate_and_a_get_while_a_dependency_is_away_are_sent_again() -> None:
    with gateway(503, 429, 200, 429, 200) as (url, methods):
        got, _ = Api(url, "key").call("GET", "/v1/experiments")
        Api(url, "key").call("POST", "/v1/experiments", {})

    assert got == {"detail": "later"}
    assert methods == ["GET"] * 3 + ["POST"] * 2


def test_a_change_is_not_sent_again_while_a_dependency_is_away() -> None:
    with gateway(503) as (url, methods), pytest.raises(SystemExit, match="503 later"):
        Api(url, "key").call("POST", "/v1/experiments", {})

    assert methods == ["POST"]
