"""Calls of the gateway for commands that people run, and their answers as text."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from http.client import HTTPConnection, HTTPSConnection
from typing import Any, Final
from urllib.parse import urlsplit

import orjson

REQUEST_SECONDS: Final = 30.0
MISSING: Final = 404
TOO_MANY: Final = 429
UNAVAILABLE: Final = 503
BUSY_SECONDS: Final = 60.0
"""Time for which a request refused for its rate is sent again, and a GET while a dependency is away."""


Cells = Sequence[object]
Run = Callable[["Api", argparse.Namespace], tuple[Any, str]]
"""Carries out a command with its options; returns the document of the answer, and the same as text."""


def gateway_parser(prog: str, description: str | None, *, scopes: str) -> argparse.ArgumentParser:
    """Return a parser with the options of every command that calls the gateway."""
    parser = argparse.ArgumentParser(prog=prog, description=description)
    parser.add_argument("--key", required=True, help=f"an API key with the {scopes}")
    parser.add_argument("--url", default="http://127.0.0.1:8080", help="the gateway (%(default)s)")
    return parser


class Commands:
    """Commands of one program that call the gateway and print its answers, as text or as JSON."""

    def __init__(self, prog: str, description: str | None) -> None:
        self._parser = gateway_parser(prog, description, scopes="scope admin")
        self._parser.add_argument("--json", action="store_true", help="print the answer as JSON")
        self._commands = self._parser.add_subparsers(required=True, metavar="what")

    def add(self, name: str, help_: str, run: Run) -> argparse.ArgumentParser:
        """Add a command, and return its parser."""
        added = self._commands.add_parser(name, help=help_, description=help_)
        added.set_defaults(run=run)
        return added

    def add_declarations(self, apply: tuple[str, Run], export: tuple[str, Run]) -> None:
        """Add the commands `apply` and `export` of declarations in a resources.yaml, each with its help."""
        added = self.add("apply", *apply)
        added.add_argument("file", help="the declaration in YAML or JSON; - for stdin")
        added.add_argument(
            "--group", help="the dataset group of the key; by default the only one that has some"
        )
        added.add_argument("--plan", action="store_true", help="print the steps and stop")
        self.add("export", *export).add_argument("--group", help="the name of the dataset group in the file")

    def run(self, arguments: list[str]) -> int:
        """Carry out the command of the arguments; return the exit status.

        Raise SystemExit with a sentence for a request that is refused.
        """
        options = self._parser.parse_args(arguments)
        run: Run = options.run
        document, text = run(Api(options.url, options.key), options)
        sys.stdout.write(
            orjson.dumps(document, option=orjson.OPT_INDENT_2).decode() if options.json else text
        )
        sys.stdout.write("\n")
        return 0


class Api:
    """Calls of the gateway with an administrator's key."""

    def __init__(self, url: str, key: str) -> None:
        self._url = urlsplit(url)
        self._headers = {"x-api-key": key, "content-type": "application/json"}

    def call(
        self, method: str, path: str, body: Any = None, headers: Mapping[str, str] | None = None
    ) -> tuple[Any, dict[str, str]]:
        """Return the document of an answer and its headers in lower case; send again what a 429 refuses.

        A GET is sent again after a 503, too.

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
        """Return the status, the body and the headers; send again what a 429, or of GETs a 503, refuses."""
        content = None if body is None else orjson.dumps(body)
        deadline = time.monotonic() + BUSY_SECONDS
        while True:
            status, text, received = self._send(method, path, content, headers)
            is_busy = status == TOO_MANY or (status == UNAVAILABLE and method == "GET")
            if not is_busy or time.monotonic() > deadline:
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
