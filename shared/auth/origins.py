"""Origins of web pages: their normal form, and which of them may use an API key."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

_DEFAULT_PORTS = {"http": 80, "https": 443}
_HOST = re.compile(r"[a-z0-9]([a-z0-9.-]*[a-z0-9])?|\[[0-9a-f:.]+\]")


@dataclass(frozen=True, slots=True)
class OriginRule:
    """The `Origin` headers that a key accepts. A key without a rule accepts every request.

    Servers and SDKs send no Origin, so a request without one is accepted unless `required` is set.
    """

    allowed: frozenset[bytes]
    required: bool = False

    def accepts(self, headers: Mapping[bytes, bytes]) -> bool:
        """Return whether a request with these headers may use the key."""
        origin = headers.get(b"origin")
        if origin is None:
            return not self.required
        return origin.lower() in self.allowed


def normalized_origin(text: str) -> str:
    """Return an origin as browsers send it (RFC 6454, section 6.2): lower case, no default port, no path.

    Raises ValueError for anything that is not `http(s)://host[:port]`.
    """
    message = f"{text!r} is not an origin: write it as https://shop.example or http://localhost:3000."
    try:
        parts = urlsplit(text.strip())
        scheme, host, port = parts.scheme.lower(), parts.hostname, parts.port
        ascii_host = host if host is None or ":" in host else host.encode("idna").decode()
    except ValueError:
        raise ValueError(message) from None
    if scheme not in _DEFAULT_PORTS or not ascii_host or parts.username is not None:
        raise ValueError(message)
    if parts.path not in {"", "/"} or parts.query or parts.fragment:
        raise ValueError(message)
    ascii_host = f"[{ascii_host}]" if ":" in ascii_host else ascii_host
    if not _HOST.fullmatch(ascii_host):
        raise ValueError(message)
    return f"{scheme}://{ascii_host}" + ("" if port in {None, _DEFAULT_PORTS[scheme]} else f":{port}")
