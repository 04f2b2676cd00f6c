"""The gateway: a private nginx in front of the services, which never runs as root."""

from __future__ import annotations

import http.client
import os
import re
import shlex
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from urllib.parse import urlsplit

from deploy.gateway.configuration import Installation, render
from deploy.gateway.settings import GatewaySettings
from deploy.local.address import GatewayAddress, needs_plain_port
from deploy.local.components.users import as_unprivileged_user
from deploy.local.errors import StackError
from deploy.local.ports import LOOPBACK, Ports
from deploy.local.secrets import write_private
from deploy.local.supervisor import Program
from deploy.local.tools import Tools

USER = "www-data"
"""The user for web servers of Debian and Ubuntu."""

# Workers outlive a master that was killed, and keep its port. The pipe to the supervisor belongs to root, so
# that another user can't open it as /dev/stdout.
_START = """\
for process in /proc/[0-9]*; do
  if [[ $process/cwd -ef {folder} ]]; then kill -KILL "${{process##*/}}"; fi
done
cd {folder} && exec {command} > >(exec cat)
"""

_COMPLAINT = re.compile(r"\[(?:emerg|crit)\] (?:\d+#\d+: )?(.*)")


def settings(ports: Ports) -> GatewaySettings:
    """Return the settings in the environment's variables `GATEWAY_…`. Raises StackError."""
    try:
        own = GatewaySettings.of(os.environ, port=ports["gateway"], metrics_port=ports["gateway-metrics"])
    except ValueError as error:
        raise StackError(str(error)) from error
    plain_port = ports["gateway-plain"] if needs_plain_port(own) else 0
    return replace(own, plain_host=LOOPBACK, plain_port=plain_port)


def address(ports: Ports, folder: Path) -> GatewayAddress:
    """Return the gateway's address; `folder` is for the authorities of its clients. Raises StackError."""
    return GatewayAddress.of(settings(ports), ports, folder)


def program(
    tools: Tools, data: Path, ports: Ports, services: Mapping[str, int], kit: Path | None = None
) -> Program:
    """Write the configuration, and return the server's program. Raises StackError.

    `services` maps the services that run, and `s3`, to their ports. `kit` is the file of the storefront kit.
    """
    nginx = tools.program("nginx").resolve()
    as_user = as_unprivileged_user(data, USER)
    own = _with_own_certificate(settings(ports), data, is_root=bool(as_user))
    addresses = {name: f"{LOOPBACK}:{number}" for name, number in services.items()}
    copy = copy_kit(kit, data, is_root=bool(as_user)) if kit and kit.exists() else None
    installation = Installation(addresses, data, version=_version(nginx), kit=copy)
    config, start = data / "nginx.conf", data / "start.sh"
    command = [str(nginx), "-e", "stderr", "-p", str(data), "-c", str(config)]
    write_private(config, render(installation, own))
    write_private(start, _START.format(folder=shlex.quote(str(data)), command=shlex.join(command)))
    if as_user:
        shutil.chown(config, USER)
        shutil.chown(start, USER)
    _check([*as_user, "bash", "-c", f"{shlex.join(command)} -t > >(exec cat)"])
    return Program("gateway", [*as_user, "bash", str(start)], group="gateway", stop_seconds=2)


def answers(plain_url: str) -> bool:
    """Return whether `/healthz` answers."""
    connection = http.client.HTTPConnection(urlsplit(plain_url).netloc, timeout=2)
    try:
        connection.request("GET", "/healthz")
        return connection.getresponse().status == http.client.OK
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def _with_own_certificate(own: GatewaySettings, data: Path, *, is_root: bool) -> GatewaySettings:
    """Copy the certificate and its key for the gateway's user, who may not read the originals."""
    if not is_root or own.certificate is None or own.certificate_key is None:
        return own
    certificate = _copy(own.certificate, data / "certificate.pem", is_root=True)
    key = _copy(own.certificate_key, data / "key.pem", is_root=True)
    return replace(own, certificate=certificate, certificate_key=key)


def copy_kit(kit: Path, folder: Path, *, is_root: bool) -> Path:
    """Copy the storefront kit, its name with the hash, and both compressed; return the path of the copy."""
    for file in (*kit.parent.glob("kit.*.js"), *kit.parent.glob("kit.*js.gz")):
        _copy(file, folder / file.name, is_root=is_root)
    return _copy(kit, folder / kit.name, is_root=is_root)


def _copy(source: Path, target: Path, *, is_root: bool) -> Path:
    """Copy a file for the gateway's user, and return its path."""
    write_private(target, source.read_bytes())
    if is_root:
        shutil.chown(target, USER)
    return target


def _version(nginx: Path) -> tuple[int, ...]:
    process = subprocess.run([str(nginx), "-v"], capture_output=True, text=True, timeout=10, check=False)
    numbers = re.search(r"nginx/(\d+)\.(\d+)\.(\d+)", process.stderr)
    if numbers is None:
        raise StackError(f"{nginx} -v does not say its version: {process.stderr.strip()}")
    return tuple(int(number) for number in numbers.groups())


def _check(command: list[str]) -> None:
    """Raise StackError with what nginx says about its configuration, unless it is valid."""
    process = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False, umask=0o077)
    if process.returncode != 0:
        complaints = _COMPLAINT.findall(process.stderr) or [process.stderr.strip()]
        raise StackError(f"nginx refuses the gateway's configuration: {complaints[0]}")
