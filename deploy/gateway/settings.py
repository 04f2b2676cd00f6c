"""The settings of the gateway, from environment variables."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

PORT = 8080
HOST = "127.0.0.1"
METRICS_PORT = 8081
PLAIN_PORT = 8082
REQUESTS_PER_SECOND = 500
"""Arbitrary; the services have limits for each key."""
CONNECTIONS = 1_000
"""Arbitrary; a page with a stream holds one."""


@dataclass(frozen=True, slots=True)
class GatewaySettings:
    """The settings of one gateway. With a certificate and its key it speaks TLS.

    Programs of the private network may use `plain_port`, which has everything without TLS; with 0 there is
    none. Prometheus reads `/metrics` on a port of its own, without TLS; with 0 there is none.
    `requests_per_second` and `connections` are of one client address; 0 is no limit. The address of a client
    behind one of the `trusted_proxies` (addresses or networks) is the last in `X-Forwarded-For`. `name` is
    the host of the address for clients, and `authority` the certificate by which they trust the gateway.
    """

    host: str = HOST
    port: int = PORT
    plain_host: str = HOST
    plain_port: int = 0
    metrics_host: str = HOST
    metrics_port: int = METRICS_PORT
    certificate: Path | None = None
    certificate_key: Path | None = None
    authority: Path | None = None
    name: str | None = None
    requests_per_second: int = REQUESTS_PER_SECOND
    connections: int = CONNECTIONS
    trusted_proxies: tuple[str, ...] = ()

    @classmethod
    def of(
        cls, environment: Mapping[str, str], *, port: int | None = None, metrics_port: int | None = None
    ) -> GatewaySettings:
        """Return the settings in the variables `GATEWAY_…`. Raises ValueError, naming the variable."""
        certificate, key = (
            _path(environment, f"GATEWAY_{name}") for name in ("CERTIFICATE", "CERTIFICATE_KEY")
        )
        if (certificate is None) != (key is None):
            raise ValueError("set both GATEWAY_CERTIFICATE and GATEWAY_CERTIFICATE_KEY, or neither")
        return cls(
            host=environment.get("GATEWAY_HOST") or HOST,
            port=port or _number(environment, "GATEWAY_PORT", PORT),
            plain_host=environment.get("GATEWAY_PLAIN_HOST") or HOST,
            plain_port=_number(environment, "GATEWAY_PLAIN_PORT", 0),
            metrics_host=environment.get("GATEWAY_METRICS_HOST") or HOST,
            metrics_port=metrics_port or _number(environment, "GATEWAY_METRICS_PORT", METRICS_PORT),
            certificate=certificate,
            certificate_key=key,
            authority=_path(environment, "GATEWAY_CERTIFICATE_AUTHORITY"),
            name=environment.get("GATEWAY_NAME") or None,
            requests_per_second=_number(environment, "GATEWAY_REQUESTS_PER_SECOND", REQUESTS_PER_SECOND),
            connections=_number(environment, "GATEWAY_CONNECTIONS_PER_CLIENT", CONNECTIONS),
            trusted_proxies=_networks(environment, "GATEWAY_TRUSTED_PROXIES"),
        )

    @property
    def scheme(self) -> str:
        """Return `https` with a certificate, else `http`."""
        return "http" if self.certificate is None else "https"


def _path(environment: Mapping[str, str], name: str) -> Path | None:
    value = environment.get(name)
    if not value:
        return None
    path = Path(value)
    if not path.is_file():
        raise ValueError(f"{name}={value}: there is no such file")
    return path.absolute()


def _number(environment: Mapping[str, str], name: str, default: int) -> int:
    value = environment.get(name) or str(default)
    if not value.isdecimal():
        raise ValueError(f"{name}={value} is not a whole number")
    return int(value)


def _networks(environment: Mapping[str, str], name: str) -> tuple[str, ...]:
    networks = tuple(filter(None, environment.get(name, "").replace(" ", "").split(",")))
    for network in networks:
        try:
            ipaddress.ip_network(network, strict=False)
        except ValueError as error:
            raise ValueError(f"{name}: {network} is neither an address nor a network") from error
    return networks
