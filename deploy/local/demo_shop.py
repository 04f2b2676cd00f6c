"""The demo shop of a stack: its keys, and a process whose environment has nothing else of the stack."""

from __future__ import annotations

import json
import os
import secrets
import sys
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from deploy.local import product
from deploy.local.address import GatewayAddress
from deploy.local.environment import ROOT_VARIABLE
from deploy.local.ports import Ports
from deploy.local.secrets import write_private
from deploy.local.supervisor import Program

NAME = "shop"
_STOP_SECONDS = 5
_LABEL = "demo shop"
_KEPT = ("PATH", "LANG", "TMPDIR", "VIRTUAL_ENV")
"""Variables of the caller that Python needs; the others include passwords of the stack."""


def program(root: Path, ports: Ports, address: GatewayAddress) -> Program:
    """Return the process of the shop. It calls the gateway of its own machine without TLS."""
    folder = root / "keys"
    variables = {
        **{name: os.environ[name] for name in _KEPT if name in os.environ},
        "SHOP_SECURE_COOKIES": str(address.has_tls),
        **{name: value for name, value in os.environ.items() if name.startswith("SHOP_")},
        "SHOP_PORT": str(ports[NAME]),
        "SHOP_ENDCAP_URL": address.plain_url,
        "SHOP_STOREFRONT_KEY_FILE": str(folder / "shop-storefront"),
        "SHOP_READ_KEY_FILE": str(folder / "shop-read"),
        "SHOP_SESSION_KEY_FILE": str(folder / "shop-session"),
        "PYTHONUNBUFFERED": "1",
        ROOT_VARIABLE: str(root),
    }
    words = [f"{name}={value}" for name, value in variables.items()]
    command = ["env", "-i", *words, sys.executable, "-m", "examples.shop"]
    return Program(NAME, command, group="endcap", stop_seconds=_STOP_SECONDS)


def create_keys(environment: Mapping[str, str], log: Path, root: Path, address: GatewayAddress) -> None:
    """Create the keys of the shop, once for each address of the gateway. Raises StackError."""
    folder, origins = root / "keys", address.origins
    marker = folder / "shop-storefront-origins.json"
    if marker.exists() and json.loads(marker.read_text()) == origins:
        return
    words = [word for origin in origins for word in ("--origin", origin)]

    def create(kind: str) -> None:
        command = ["services.engine", "keys", "create", kind, *words, "--label", _LABEL]
        write_private(folder / f"shop-{kind}", product.run_secret_module(command, environment, log))

    with ThreadPoolExecutor(2) as executor:
        list(executor.map(create, ("storefront", "read")))
    if not (folder / "shop-session").exists():
        write_private(folder / "shop-session", secrets.token_urlsafe(32))
    write_private(marker, json.dumps(origins))
