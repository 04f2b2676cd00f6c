"""`python -m services.sync load <file>`: post a file to a running service, and wait for its import."""

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
    """The file was not imported; the message says why, and what to do."""


def load(settings: Settings, arguments: list[str]) -> int:
    """Post a file, show the progress, and return 0 once Kafka has all events of the import."""
    options = _parser().parse_args(arguments)
    key = settings.load.endcap_catalogue_key or settings.load.endcap_admin_key
    if key is None:
        sys.stderr.write('Set ENDCAP_CATALOGUE_KEY, as `eval "$(make -s env)"` does.\n')
        return 2
    service = _Service(settings.load.endcap_sync_url, key.get_secret_value(), options.tenant)
    show = _ProgressLine(sys.stderr)
    try:
        report = _import_file(service, options, show)
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
        description="Import a CSV file. Endcap must be running.",
    )
    parser.add_argument("path", type=Path, help="CSV with a header, or gzip of it")
    parser.add_argument("--kind", choices=KINDS, help="default: by the name of the file, else orders")
    parser.add_argument("--source", help="name of a mapping; default: detected by the header")
    parser.add_argument("--mapping", type=Path, help="JSON file: which column is which field")
    parser.add_argument("--tenant", default="default", help="for a service key; default: %(default)s")
    return parser


def _import_file(service: _Service, options: argparse.Namespace, show: _ProgressLine) -> dict[str, Any]:
    """Post the file and wait for its import; return the report. Raises LoadFailed."""
    path: Path = options.path
    if not path.is_file():
        raise LoadFailed(f"{path} is not a file.")
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
        show(f"{path.name}: {_progress(report)}")
        if report["status"] == "failed":
            raise LoadFailed(f"{path.name} was not imported: {report['error']}")
        if report["relayed"]:
            return report
        time.sleep(_POLL_SECONDS)


def _progress(report: dict[str, Any]) -> str:
    if report["status"] == "done":
        return "imported, waiting until its events are published"
    return f"{report['status']} {report['progress']:.0%}, {report['rows']['read']:,} rows read"


def summary(report: dict[str, Any]) -> str:
    """Return a summary of an import."""
    rows, changes = report["rows"], report["changes"]
    new = ", ".join(f"{count:,} {name.replace('_', ' ')}" for name, count in sorted(changes.items()))
    head = (
        f"{report['file']} ({report['source']}): {rows['read']:,} rows read, "
        f"{rows['accepted']:,} accepted, {rows['duplicate']:,} duplicates, "
        f"{rows['rejected']:,} rejected"
    )
    lines = [head, f"  new or changed: {new or 'nothing'}"]
    if report["reasons"]:
        reasons = ", ".join(f"{code} {count:,}" for code, count in sorted(report["reasons"].items()))
        lines.append(f"  rejected: {reasons}")
        lines.append(f"  rejected rows: GET /v1/imports/{report['id']}/rejects")
    if report["shortened"]:
        columns = ", ".join(f"{column} {count:,}" for column, count in sorted(report["shortened"].items()))
        lines.append(f"  shortened cells: {columns}")
    return "\n".join(lines)


class _Service:
    """A running sync."""

    def __init__(self, url: str, key: str, tenant: str) -> None:
        self._url = url
        self._headers = {"x-api-key": key, "x-endcap-tenant": tenant}

    def get(self, path: str) -> dict[str, Any]:
        """Return the JSON document at a path. Raises LoadFailed."""
        return self._with_retries(lambda: self._request("GET", path, None, {}))

    def post_file(self, path: Path, fields: dict[str, str]) -> dict[str, Any]:
        """Post a file as a multipart form, without reading it into memory. Raises LoadFailed."""
        boundary = uuid.uuid4().hex
        head, tail = _head_and_tail(boundary, path.name, fields)
        length = len(head) + path.stat().st_size + len(tail)
        headers = {
            "Content-Type": f"multipart/form-data; boundary={boundary}",
            "Content-Length": str(length),
        }

        def post() -> dict[str, Any]:
            with path.open("rb") as file:
                return self._request("POST", "/v1/imports", _body(head, file, tail), headers)

        return self._with_retries(post)

    def _with_retries(self, call: Callable[[], dict[str, Any]]) -> dict[str, Any]:
        """Retry for 30 seconds. A repeated post is harmless: the same file changes nothing."""
        deadline = time.monotonic() + 30
        while True:
            try:
                return call()
            except (OSError, http.client.HTTPException) as error:
                if time.monotonic() > deadline:
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
        return {"error": "InvalidJson", "detail": content[:300].decode(errors="replace")}
    return document


def _head_and_tail(boundary: str, name: str, fields: dict[str, str]) -> tuple[bytes, bytes]:
    """Return the bytes of a multipart form before and after the content of its file (RFC 7578)."""
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


class _ProgressLine:
    """A line that is overwritten in a terminal; in other streams, a plain line every 10 seconds."""

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
        """End the line."""
        if self._last and self._stream.isatty():
            self._stream.write("\n")
