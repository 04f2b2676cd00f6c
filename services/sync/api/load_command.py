"""`python -m services.sync load <file>`: post a file to a running service and watch it to the end."""

from __future__ import annotations

import argparse
import http.client
import shutil
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any
from urllib.parse import urlsplit

import orjson

from services.sync.domain.mapping import KINDS

if TYPE_CHECKING:
    from services.sync.settings import Settings

_POLL_SECONDS = 0.5
_SECONDS_BETWEEN_LINES = 10.0
_PIECE = 2**18
_TIMEOUT = 120.0


class LoadFailed(Exception):
    """The file is not in the shop; the message says why and what to do."""


def load(settings: Settings, arguments: list[str]) -> int:
    """Post the file, show progress, and return 0 once Kafka has everything that it brought."""
    options = _parser().parse_args(arguments)
    key = settings.load.endcap_catalogue_key or settings.load.endcap_admin_key
    if key is None:
        sys.stderr.write('Set ENDCAP_CATALOGUE_KEY, as `eval "$(make -s env)"` does.\n')
        return 2
    service = _Service(settings.load.endcap_sync_url, key.get_secret_value(), options.tenant)
    show = _Line(sys.stderr)
    try:
        report = _loaded(service, options, show)
    except LoadFailed as error:
        show.end()
        sys.stderr.write(f"{error}\n")
        return 1
    show.end()
    sys.stdout.write(f"{summary(report)}\n")
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m services.sync load",
        description="Load a CSV file into the shop; it must be running.",
    )
    parser.add_argument("path", type=Path, help="CSV with a header, or gzip of it")
    parser.add_argument("--kind", choices=KINDS, help="default: by the file's name, else orders")
    parser.add_argument("--source", help="a mapping by its name; default: by the first line")
    parser.add_argument("--mapping", type=Path, help="JSON: which column is which field")
    parser.add_argument("--tenant", default="default", help="for a service key; default: %(default)s")
    return parser


def _loaded(service: _Service, options: argparse.Namespace, show: _Line) -> dict[str, Any]:
    path: Path = options.path
    if not path.is_file():
        raise LoadFailed(f"{path} is no file.")
    kind = options.kind or next((kind for kind in KINDS if path.name.startswith(kind)), "orders")
    fields = {"kind": kind}
    if options.source:
        fields["source"] = options.source
    if options.mapping:
        fields["mapping"] = options.mapping.read_text()
    show(f"{path.name}: sending")
    identity = service.post_file(path, fields)["id"]
    while True:
        report = service.get(f"/v1/imports/{identity}")
        show(f"{path.name}: {_state(report)}")
        if report["status"] == "failed":
            raise LoadFailed(f"{path.name} was not loaded: {report['error']}")
        if report["relayed"]:
            return report
        time.sleep(_POLL_SECONDS)


def _state(report: dict[str, Any]) -> str:
    if report["status"] == "done":
        return "loaded, waiting until it is published"
    return f"{report['status']} {report['progress']:.0%}, {report['rows']['read']:,} rows read"


def summary(report: dict[str, Any]) -> str:
    """What became of a file, for people."""
    rows, changes = report["rows"], report["changes"]
    new = ", ".join(f"{count:,} {what.replace('_', ' ')}" for what, count in sorted(changes.items()))
    head = (
        f"{report['file']} ({report['source']}): {rows['read']:,} rows read, "
        f"{rows['accepted']:,} accepted, {rows['duplicate']:,} known already, "
        f"{rows['rejected']:,} rejected"
    )
    lines = [head, f"  new or changed: {new or 'nothing'}"]
    if report["reasons"]:
        reasons = ", ".join(f"{why} {count:,}" for why, count in sorted(report["reasons"].items()))
        lines.append(f"  rejected: {reasons}")
        lines.append(f"  every rejected row: GET /v1/imports/{report['id']}/rejects")
    if report["shortened"]:
        columns = ", ".join(f"{column} {count:,}" for column, count in sorted(report["shortened"].items()))
        lines.append(f"  cut to what a property holds: {columns}")
    return "\n".join(lines)


class _Service:
    """A running sync."""

    def __init__(self, url: str, key: str, tenant: str) -> None:
        self._url = url
        self._headers = {"x-api-key": key, "x-endcap-tenant": tenant}

    def get(self, path: str) -> dict[str, Any]:
        """The document at a path; a service that restarts is waited for."""
        return self._patiently(lambda: self._request("GET", path, None, {}))

    def post_file(self, path: Path, fields: dict[str, str]) -> dict[str, Any]:
        """Send a file as a form, without holding it in memory."""
        boundary = uuid.uuid4().hex
        head, tail = _around(boundary, path.name, fields)
        length = len(head) + path.stat().st_size + len(tail)
        headers = {
            "Content-Type": f"multipart/form-data; boundary={boundary}",
            "Content-Length": str(length),
        }

        def post() -> dict[str, Any]:
            with path.open("rb") as file:
                return self._request("POST", "/v1/imports", _body(head, file, tail), headers)

        return self._patiently(post)

    def _patiently(self, call: Callable[[], dict[str, Any]]) -> dict[str, Any]:
        """Try for half a minute: a repeated post is harmless, since the same file adds nothing."""
        until = time.monotonic() + 30
        while True:
            try:
                return call()
            except (OSError, http.client.HTTPException) as error:
                if time.monotonic() > until:
                    detail = f"{self._url} does not answer ({error}); is Endcap running (make run)?"
                    raise LoadFailed(detail) from error
                time.sleep(_POLL_SECONDS)

    def _request(
        self, method: str, path: str, body: Iterator[bytes] | None, headers: dict[str, str]
    ) -> dict[str, Any]:
        address = urlsplit(self._url)
        secure = address.scheme == "https"
        kind = http.client.HTTPSConnection if secure else http.client.HTTPConnection
        connection = kind(address.netloc, timeout=_TIMEOUT)
        try:
            connection.request(method, address.path + path, body, {**self._headers, **headers})
            answer = connection.getresponse()
            content = answer.read()
        finally:
            connection.close()
        if answer.status == http.HTTPStatus.SERVICE_UNAVAILABLE:
            raise ConnectionError(content.decode(errors="replace"))
        document: dict[str, Any] = _document(content)
        if answer.status >= http.HTTPStatus.BAD_REQUEST:
            raise LoadFailed(f"{answer.status} {document.get('error')}: {document.get('detail')}")
        return document


def _document(content: bytes) -> dict[str, Any]:
    try:
        document: dict[str, Any] = orjson.loads(content)
    except orjson.JSONDecodeError:
        return {"error": "NoJSON", "detail": content[:300].decode(errors="replace")}
    return document


def _around(boundary: str, name: str, fields: dict[str, str]) -> tuple[bytes, bytes]:
    parts = [
        f'--{boundary}\r\nContent-Disposition: form-data; name="{field}"\r\n\r\n{value}\r\n'
        for field, value in fields.items()
    ]
    quoted = name.replace("\\", "\\\\").replace('"', '\\"')
    parts.append(
        f'--{boundary}\r\nContent-Disposition: form-data; name="file"; filename="{quoted}"\r\n'
        "Content-Type: application/octet-stream\r\n\r\n"
    )
    return "".join(parts).encode(), f"\r\n--{boundary}--\r\n".encode()


def _body(head: bytes, file: IO[bytes], tail: bytes) -> Iterator[bytes]:
    yield head
    while piece := file.read(_PIECE):
        yield piece
    yield tail


class _Line:
    """One line in a terminal that is written over; elsewhere a plain line now and then."""

    def __init__(self, stream: IO[str]) -> None:
        self._stream = stream
        self._last = ""
        self._written_at = float("-inf")

    def __call__(self, text: str) -> None:
        if text == self._last:
            return
        self._last = text
        if self._stream.isatty():
            width = shutil.get_terminal_size().columns - 1
            self._stream.write(f"\r{text[:width]:<{width}}")
        elif time.monotonic() - self._written_at > _SECONDS_BETWEEN_LINES:
            self._written_at = time.monotonic()
            self._stream.write(f"{text}\n")
        self._stream.flush()

    def end(self) -> None:
        """Leave the line."""
        if self._last and self._stream.isatty():
            self._stream.write("\n")
