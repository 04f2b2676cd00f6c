"""An HTTP request in parts, and its bytes on the wire."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal
from urllib.parse import quote

from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from tests.support.fuzz.documents import Embedded, Raw, json_bytes, json_text

Encoding = Literal["json", "lines", "form", "none"]
Header = tuple[bytes, bytes]

CONTENT_TYPES: Mapping[Encoding, bytes] = {
    "json": b"application/json",
    "lines": b"application/x-ndjson",
    "form": b"multipart/form-data; boundary=frontier",
}
_SHOWN = 600


class Sent(str):
    """A part of a path or query exactly as it is sent: percent-encoded, correctly or not."""

    __slots__ = ()


@dataclass(frozen=True)
class KeyPair:
    """An AWS key pair."""

    access_key_id: str
    secret: str


@dataclass(frozen=True)
class Request:
    """A request to one route or operation. `path` has `{name}` where a value of `in_path` stands."""

    target: str
    service: str
    method: str
    path: str
    in_path: Mapping[str, str]
    query: tuple[tuple[str, str], ...]
    headers: tuple[Header, ...]
    document: Any = None
    encoding: Encoding = "none"
    body: bytes | None = None
    signer: KeyPair | None = None
    framing: bytes = b""
    """Header lines that replace the correct Content-Length."""
    is_chunked: bool = False
    """True if the body is chunked, without a Content-Length."""
    changes: tuple[str, ...] = ()
    """The changes to the valid request."""

    @property
    def content(self) -> bytes:
        """Return the body."""
        if self.body is not None:
            return self.body
        match self.encoding:
            case "json":
                return json_bytes(self.document)
            case "lines":
                lines = self.document if isinstance(self.document, list) else [self.document]
                return b"\n".join(map(json_bytes, lines))
            case "form":
                return _form(self.document)
        return b""

    @property
    def is_malformed(self) -> bool:
        """Return whether this is not valid HTTP, so that a server may close the connection."""
        return bool(self.framing) or not self.address.isascii()

    @property
    def address(self) -> str:
        """Return path and query, encoded."""
        path = self.path
        for name, value in self.in_path.items():
            path = path.replace(f"{{{name}}}", _quoted(value, safe="/"))
        if not self.query:
            return path
        pairs = [
            value if name == "" and isinstance(value, Sent) else f"{_quoted(name)}={_quoted(value)}"
            for name, value in self.query
        ]
        return f"{path}?{'&'.join(pairs)}"

    def wire(self, host: str) -> bytes:
        """Return the bytes of the request, signed if it has a signer."""
        content = self.content
        headers = list(self.headers)
        if self.encoding in CONTENT_TYPES and not any(name == b"content-type" for name, _ in headers):
            headers.append((b"content-type", CONTENT_TYPES[self.encoding]))
        if self.signer is not None:
            headers.extend(self._signature(self.signer, host, content))
        lines = [
            f"{self.method} {self.address} HTTP/1.1".encode("latin-1", "replace"),
            b"host: " + host.encode(),
        ]
        lines += [name + b": " + value for name, value in headers]
        length = b"" if self.method == "GET" and not content else b"content-length: %d\r\n" % len(content)
        if self.is_chunked:
            length = b"transfer-encoding: chunked\r\n"
            content = b"".join(b"%x\r\n%b\r\n" % (len(part), part) for part in (content, b"")[not content :])
        return b"\r\n".join([*lines, self.framing or length, b""]) + content

    def _signature(self, pair: KeyPair, host: str, content: bytes) -> list[Header]:
        headers = {"Host": host}
        if target := dict(self.headers).get(b"x-amz-target"):
            headers["X-Amz-Target"] = target.decode("latin-1")
        signed = AWSRequest(self.method, f"http://{host}{self.address}", headers=headers, data=content)
        SigV4Auth(Credentials(pair.access_key_id, pair.secret), "personalize", "eu-west-1").add_auth(signed)
        names = ("X-Amz-Date", "Authorization")
        return [(name.lower().encode(), str(signed.headers[name]).encode()) for name in names]

    def described(self) -> str:
        """Return the request as text for people; long parts are cut."""
        parts = [
            f"{self.method} {_cut(self.address)}   [{self.target}; {', '.join(self.changes) or 'valid'}]"
        ]
        secret = (b"x-api-key", b"authorization")
        parts += [
            f"  {name!r}: {'(key)' if name in secret else _cut(repr(value))}" for name, value in self.headers
        ]
        if self.signer is not None:
            parts.append("  signed with the key pair")
        if self.is_chunked:
            parts.append("  in chunks")
        if self.framing:
            parts.append(f"  framing: {self.framing!r}")
        content = self.content
        if content:
            parts.append(f"  body ({len(content)} bytes): {_cut(repr(content))}")
        return "\n".join(parts).encode("utf-8", "backslashreplace").decode()


def _quoted(value: str, safe: str = "") -> str:
    return value if isinstance(value, Sent) else quote(value, safe=safe, errors="surrogatepass")


def _cut(text: str) -> str:
    return (
        text
        if len(text) <= _SHOWN
        else f"{text[: _SHOWN // 2]} … {text[-_SHOWN // 4 :]} ({len(text)} characters)"
    )


def _form(document: Any) -> bytes:
    """Return the members of an object as parts of a form; the member `file` is a file."""
    members = document.items() if isinstance(document, dict) else [("kind", document)]
    parts = []
    for name, value in members:
        values = value if isinstance(value, list) and name != "mapping" else [value]
        for part in values:
            filename = b'; filename="rows.csv"' if name == "file" else b""
            field = str(name).encode("utf-8", "replace").replace(b"\r", b"").replace(b"\n", b"")
            head = b'--frontier\r\ncontent-disposition: form-data; name="' + field + b'"' + filename
            parts.append(head + b"\r\n\r\n" + _field(part) + b"\r\n")
    return b"".join(parts) + b"--frontier--\r\n"


def _field(value: Any) -> bytes:
    if isinstance(value, Embedded):
        value = Raw(json_text(value.document))
    text = value if isinstance(value, str) else json_text(value)
    return text.encode("utf-8", "surrogateescape" if isinstance(value, Raw) else "surrogatepass")
