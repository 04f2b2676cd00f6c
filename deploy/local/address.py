"""The address of a stack's gateway: for clients, and for programs of the same machine."""

from __future__ import annotations

import ipaddress
import os
import socket
import ssl
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Self
from urllib.parse import urlsplit

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from deploy.gateway.settings import GatewaySettings
from deploy.local.errors import StackError
from deploy.local.ports import LOOPBACK, Ports
from deploy.local.secrets import write_private

_DEFAULT_PORTS = {"http": 80, "https": 443}
_ANY_HOST = frozenset({LOOPBACK, "0.0.0.0", "localhost"})  # noqa: S104 - they answer on the loopback address
_CONNECT_SECONDS = 5.0

_SYSTEM_STORES = (
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/cert.pem",
)
"""Files of Debian, Fedora and Alpine with the authorities that every program trusts."""

_CA_VARIABLES = (
    *("AWS_CA_BUNDLE", "CURL_CA_BUNDLE", "REQUESTS_CA_BUNDLE"),
    *("SSL_CERT_FILE", "NODE_EXTRA_CA_CERTS"),
)
"""Read by AWS's SDKs and CLI, curl, requests, OpenSSL (also httpx and Go), and Node.js."""


@dataclass(frozen=True, slots=True)
class GatewayAddress:
    """The URL for clients, and the URL without TLS for programs of this machine.

    `ca_bundle` is the file of authorities that clients need, or None if the system's suffice.
    """

    url: str
    plain_url: str
    ca_bundle: str | None = None

    @classmethod
    def of(cls, settings: GatewaySettings, ports: Ports, folder: Path) -> Self:
        """Return the address; `folder` is for the bundle of authorities. Raises StackError."""
        port = settings.port
        bundle = str(folder / "ca-bundle.pem") if _authorities(settings) else None
        suffix = "" if _DEFAULT_PORTS[settings.scheme] == port else f":{port}"
        plain_port = ports["gateway-plain"] if needs_plain_port(settings) else port
        return cls(
            f"{settings.scheme}://{_host(settings)}{suffix}", f"http://{LOOPBACK}:{plain_port}", bundle
        )

    @classmethod
    def from_json(cls, fields: dict[str, Any]) -> Self:
        """Return the address that `as_json` described."""
        return cls(**fields)

    def as_json(self) -> dict[str, Any]:
        """Return the address as members of JSON."""
        return asdict(self)

    @property
    def has_tls(self) -> bool:
        """Return whether clients speak TLS."""
        return self.url.startswith("https:")

    @property
    def origins(self) -> list[str]:
        """Return the origins of pages behind the gateway, by its name and the machine's names for itself."""
        url = urlsplit(self.url)
        hosts = dict.fromkeys([str(url.hostname), LOOPBACK, "localhost"])
        return [f"{url.scheme}://{host}{f':{url.port}' if url.port else ''}" for host in hosts]

    @property
    def client_variables(self) -> dict[str, str]:
        """Return the variables by which clients find the gateway and trust its certificate."""
        trust = dict.fromkeys(_CA_VARIABLES, self.ca_bundle) if self.ca_bundle else {}
        return {"ENDCAP_URL": self.url, "AWS_ENDPOINT_URL": self.url, **trust}

    def write_bundle(self, settings: GatewaySettings) -> None:
        """Write the system's authorities and the gateway's own, so that one file serves all programs."""
        if self.ca_bundle is not None:
            # A shell that has evaluated `make env` names the bundle itself.
            stores = [Path(path) for path in _stores() if path != self.ca_bundle]
            store = next((path for path in stores if path.is_file()), None)
            system = "" if store is None else store.read_text(errors="replace")
            write_private(Path(self.ca_bundle), system + _authorities(settings))

    def problem(self) -> str | None:
        """Return why clients on this machine can't use the gateway by its name, or None if they can."""
        url = urlsplit(self.url)
        if not self.has_tls:
            return None
        host = str(url.hostname)
        context = ssl.create_default_context(cafile=self.ca_bundle)
        address = (LOOPBACK, url.port or _DEFAULT_PORTS[url.scheme])
        try:
            with socket.create_connection(address, timeout=_CONNECT_SECONDS) as connection:
                context.wrap_socket(connection, server_hostname=host).close()
            socket.getaddrinfo(host, None)
        except ssl.SSLCertVerificationError as error:
            return (
                f"clients will refuse the gateway's certificate ({error.verify_message}); name the file of "
                "its authority in GATEWAY_CERTIFICATE_AUTHORITY, and the host that it is for in GATEWAY_NAME"
            )
        except socket.gaierror:
            return f"this machine does not know the host {host}; add `{LOOPBACK} {host}` to /etc/hosts"
        except ssl.SSLError as error:
            return f"clients can't speak TLS with the gateway: {error}"
        except OSError:
            return None  # it listens on another address of this machine
        return None


def needs_plain_port(settings: GatewaySettings) -> bool:
    """Return whether programs of this machine need a port of their own: for want of trust, or of loopback."""
    return settings.certificate is not None or settings.host not in _ANY_HOST


def _stores() -> list[str]:
    configured = os.environ.get("SSL_CERT_FILE"), ssl.get_default_verify_paths().cafile
    return [*filter(None, configured), *_SYSTEM_STORES]


def _host(settings: GatewaySettings) -> str:
    """Return the host of printed addresses: one that the certificate is for. Raises StackError."""
    if settings.name:
        return settings.name
    if settings.certificate is None:
        return LOOPBACK if settings.host in _ANY_HOST else settings.host
    names = _names(_chain(settings.certificate)[0])
    for name in (LOOPBACK, "localhost", *names):
        if name in names and "*" not in name:
            return name
    listed = f"only {', '.join(names)}" if names else "it has no subject alternative name"
    raise StackError(
        f"{settings.certificate} names no host for the gateway's address ({listed}): set GATEWAY_NAME to the "
        "host that clients use"
    )


def _names(certificate: x509.Certificate) -> list[str]:
    """Return the hosts that a certificate is for: DNS names first, then addresses."""
    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return []
    addresses = names.get_values_for_type(x509.IPAddress)
    return [*names.get_values_for_type(x509.DNSName), *(str(each) for each in addresses if _is_host(each))]


def _is_host(address: object) -> bool:
    return isinstance(address, ipaddress.IPv4Address)


def _authorities(settings: GatewaySettings) -> str:
    """Return the authorities that only this gateway has, as PEM: a configured one, or self-signed ones."""
    if settings.certificate is None:
        return ""
    if settings.authority is not None:
        return settings.authority.read_text()
    own = [each for each in _chain(settings.certificate) if each.subject == each.issuer]
    return "".join(each.public_bytes(Encoding.PEM).decode() for each in own)


def _chain(path: Path) -> list[x509.Certificate]:
    """Return the certificates of a file, that of the server first. Raises StackError."""
    try:
        return x509.load_pem_x509_certificates(path.read_bytes())
    except (OSError, ValueError) as error:
        raise StackError(f"{path} is not a certificate in PEM: {error}") from error
