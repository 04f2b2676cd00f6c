"""The keyless mode: requests without credentials are accepted if they come from this machine itself.

Three kinds of request from elsewhere reach a loopback listener, and are refused: those that a proxy on this
machine forwards; those that a page of another site makes the browser send (`Origin`, `Referer`,
`Sec-Fetch-Site`); and those after DNS rebinding, where a name of another site resolves to 127.0.0.1 (`Host`).
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable
from functools import lru_cache
from typing import Final

# Headers that proxies, load balancers, CDNs and tunnels add: RFC 7239, RFC 9110, nginx, IIS, Envoy, …
_PROXY_HEADERS: Final = frozenset(
    {
        b"cdn-loop",
        b"client-ip",
        b"fastly-client-ip",
        b"forwarded",
        b"forwarded-for",
        b"true-client-ip",
        b"via",
        b"x-client-ip",
        b"x-cluster-client-ip",
        b"x-host",
        b"x-originating-ip",
        b"x-proxyuser-ip",
        b"x-varnish",
    }
)
_PROXY_PREFIXES: Final = (
    b"cf-",
    b"fly-",
    b"proxy-",
    b"tailscale-",
    b"wl-proxy-",
    b"x-appengine-",
    b"x-arr-",
    b"x-azure-",
    b"x-envoy-",
    b"x-forwarded",
    b"x-original-",
    b"x-proxy-",
    b"x-real-",
    b"x-remote-",
    b"x-vercel-",
)
# Sec-Fetch-Site of a page of this origin, and of an address that a person typed.
_OWN_PAGE: Final = frozenset({b"same-origin", b"none"})

_AUTHORITY: Final = r"(?:\[([0-9a-f:.]+)\]|([a-z0-9.-]+))(?::[0-9]{1,5})?"
_HOST: Final = re.compile(_AUTHORITY, re.IGNORECASE)
_URL: Final = re.compile(rf"https?://{_AUTHORITY}(?:[/?#].*)?", re.IGNORECASE | re.DOTALL)

_MAX_CACHED_BYTES: Final = 128  # longer values are parsed each time, so that the cache stays below 200 KB


def refusal(
    headers: Iterable[tuple[bytes, bytes]], client_host: str | None, http_version: str = "1.1"
) -> str | None:
    """Return why a request is not from this machine, as a sentence; None if it is.

    `headers` are ASGI's: names in lower case, with repetitions. Costs 2 to 4 µs.
    """
    if not is_loopback(client_host):
        return "its client is on another machine"
    # nginx before 1.29.7 sends HTTP/1.0 to upstreams and adds no header by default.
    return _header_refusal(headers) if http_version != "1.0" else "it is HTTP/1.0, which proxies speak"


def _header_refusal(headers: Iterable[tuple[bytes, bytes]]) -> str | None:
    hosts = 0
    for name, value in headers:
        if name == b"host":
            hosts += 1
            if not _names_loopback(_HOST, value):
                return "its Host header is not localhost or a loopback address"
        elif name in _PROXY_HEADERS or name.startswith(_PROXY_PREFIXES):
            return f"its header {name.decode('latin-1')[:64]} shows that a proxy passed it on"
        elif name in {b"origin", b"referer"}:
            if not _names_loopback(_URL, value):
                return f"its header {name.decode()} names a page of another site"
        elif name == b"sec-fetch-site" and value not in _OWN_PAGE:
            return "its header sec-fetch-site names a page of another site"
    return None if hosts == 1 else f"it has {hosts} Host headers instead of one"


def is_loopback(host: str | None) -> bool:
    """Return whether `host`, without a port, is `localhost` or a loopback address (127.0.0.0/8, ::1)."""
    if host is None:
        return False
    if host == "127.0.0.1" or host.lower() == "localhost":
        return True
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return False
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
        return address.ipv4_mapped.is_loopback
    return address.is_loopback


def _names_loopback(pattern: re.Pattern[str], value: bytes) -> bool:
    if len(value) > _MAX_CACHED_BYTES:
        return _parse(pattern, value)
    return _parse_cached(pattern, value)


def _parse(pattern: re.Pattern[str], value: bytes) -> bool:
    match = pattern.fullmatch(value.decode("latin-1"))
    return match is not None and is_loopback(match[1] or match[2])


_parse_cached = lru_cache(maxsize=512)(_parse)
