"""Calls of the gateway for commands that people run, and their answers as text."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from http.client import HTTPConnection, HTTPSConnection
from typing import Any, Final
from urllib.parse import urlsplit

import orjson

REQUEST_SECONDS: Final = 30.0
MISSING: Final = 404
TOO_MANY: Final = 429
BUSY_SECONDS: Final = 60.0
"""Time for which a request that is refused for its rate is sent again."""


Cells = Sequence[object]


class Api:
    """Calls of the gateway with an administrator's key."""

    def __init__(self, url: str, key: str) -> None:
        self._url = urlsplit(url)
        self._headers = {"x-api-key": key, "content-type": "application/json"}

    def call(
        self, method: str, path: str, body: Any = None, headers: Mapping[str, str] | None = None
    ) -> tuple[Any, dict[str, str]]:
        """Return the document of an answer and its headers in lower case; send again what a 429 refuses.

        Raise SystemExit with the answer's sentence if it is no success, or if nobody answers.
        """
        status, text, received = self._sent(method, path, body, headers or {})
        if status >= 300:
            message = f"{method} {path}: {status} {_sentence(text)}"
            raise SystemExit(message)
        return orjson.loads(text) if text else None, received

    def find(self, path: str) -> tuple[Any, dict[str, str]] | None:
        """Return a document and the headers; None if there is none (404). Raise SystemExit as `call` does."""
        status, text, received = self._sent("GET", path, None, {})
        if status == MISSING:
            return None
        if status >= 300:
            message = f"GET {path}: {status} {_sentence(text)}"
            raise SystemExit(message)
        return orjson.loads(text), received

    def _sent(
        self, method: str, path: str, body: Any, headers: Mapping[str, str]
    ) -> tuple[int, bytes, dict[str, str]]:
        """Return the status, the body and the headers; send again what a 429 refuses."""
        content = None if body is None else orjson.dumps(body)
        deadline = time.monotonic() + BUSY_SECONDS
        while True:
            status, text, received = self._send(method, path, content, headers)
            if status != TOO_MANY or time.monotonic() > deadline:
                return status, text, received
            time.sleep(min(float(received.get("retry-after", "1")), REQUEST_SECONDS))

    def _send(
        self, method: str, path: str, content: bytes | None, headers: Mapping[str, str]
    ) -> tuple[int, bytes, dict[str, str]]:
        """Return the status, the body and the headers in lower case; SystemExit if nobody answers."""
        connect = HTTPSConnection if self._url.scheme == "https" else HTTPConnection
        connection = connect(self._url.netloc, timeout=REQUEST_SECONDS)
        try:
            connection.request(method, path, content, {**self._headers, **headers})
            answer = connection.getresponse()
            text = answer.read()
        except OSError as error:
            message = f"{self._url.geturl()} does not answer: {error}"
            raise SystemExit(message) from None
        finally:
            connection.close()
        return answer.status, text, {name.lower(): value for name, value in answer.getheaders()}


def _sentence(text: bytes) -> str:
    """Return the sentence of an error, or the whole text of an answer that has none."""
    try:
        return str(orjson.loads(text)["detail"])
    except (ValueError, KeyError, TypeError):
        return text.decode(errors="replace")


def table(head: Cells, rows: Sequence[Cells]) -> str:
    """Return rows of text in columns."""
    cells = [[str(cell) for cell in row] for row in (head, *rows)]
    widths = [max((len(row[at]) for row in cells if at < len(row)), default=0) for at in range(len(head))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=False)).rstrip()
        for row in cells
    )
