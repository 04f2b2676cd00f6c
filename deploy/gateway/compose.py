"""The gateway of Docker Compose: the containers that it forwards to, and the text of its configuration."""

from __future__ import annotations

from pathlib import Path

from deploy.gateway.configuration import Installation, render
from deploy.gateway.settings import PLAIN_PORT, GatewaySettings
from deploy.local.ports import SERVICES, Ports

CONFIGURATION = Path("deploy/compose/gateway.conf")
"""The committed file, which docker-compose.yml mounts. `make contracts` writes it."""

S3_PORT = 7070
_RESOLVER = "127.0.0.11"
"""The address of Docker's name server in every container."""

_FOLDER = Path("/tmp")  # noqa: S108 - a tmpfs of the container

_KIT = Path("/usr/share/endcap/kit.js")
"""The storefront kit in the gateway's image."""

_ALL = "0.0.0.0"  # noqa: S104 - Compose publishes one port, on one address
VARIABLES = {
    "GATEWAY_HOST": _ALL,
    "GATEWAY_METRICS_HOST": _ALL,
    "GATEWAY_PLAIN_HOST": _ALL,
    "GATEWAY_PLAIN_PORT": str(PLAIN_PORT),
}
"""The settings that containers need, in which they differ from those of one machine."""

SETTINGS = GatewaySettings.of(VARIABLES)

CERTIFICATES = Path("/etc/endcap/certificates")
"""The folder `ENDCAP_GATEWAY_CERTIFICATES` in the container."""


def installation() -> Installation:
    """Return the containers of the services and of the S3 server by their names."""
    ports = Ports.usual({})
    services = {name: f"{name}:{ports[name]}" for name in (*SERVICES, "shop")} | {"s3": f"s3:{S3_PORT}"}
    return Installation(services, _FOLDER, resolver=_RESOLVER, kit=_KIT)


def configuration(settings: GatewaySettings = SETTINGS) -> str:
    """Return the text of the configuration."""
    return render(installation(), settings)
