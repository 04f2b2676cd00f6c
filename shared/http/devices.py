"""The device of a request, by its headers: a mobile, a tablet or a desktop.

A server that passes on requests of visitors says it in `x-device`; else it is read from the user agent of a
browser (RFC 9110, section 10.1.5; MDN, Browser detection using the user agent).
"""

from __future__ import annotations

from collections.abc import Mapping
from contextvars import ContextVar
from functools import lru_cache
from types import MappingProxyType
from typing import Final

HEADER: Final = b"x-device"
DEVICES: Final = {b"mobile": "mobile", b"tablet": "tablet", b"desktop": "desktop"}
_LONGEST_AGENT: Final = 512
"""Bytes of a user agent that are read; arbitrary, browsers send about 120."""

REQUEST_HEADERS: ContextVar[Mapping[bytes, bytes]] = ContextVar(
    "request_headers", default=MappingProxyType({})
)
"""The headers of the request that is answered now, with names in lower case."""


def device_of(headers: Mapping[bytes, bytes]) -> str | None:
    """Return the device; None for a program that is no browser."""
    named = DEVICES.get(headers.get(HEADER, b""))
    if named is not None:
        return named
    agent = headers.get(b"user-agent")
    return None if agent is None else _of_agent(agent[:_LONGEST_AGENT])


@lru_cache(maxsize=4_096)
def _of_agent(agent: bytes) -> str | None:
    if b"iPad" in agent or b"Tablet" in agent or (b"Android" in agent and b"Mobile" not in agent):
        return "tablet"
    if b"Mobi" in agent or b"iPhone" in agent:
        return "mobile"
    return "desktop" if agent.startswith(b"Mozilla/") else None
