"""The state of a running stack for other commands: ports, external components, the gateway's address."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from deploy.local.address import GatewayAddress
from deploy.local.environment import external_components
from deploy.local.ports import Ports
from deploy.local.secrets import write_private
from deploy.local.supervisor import Supervisor


@dataclass(frozen=True, slots=True)
class State:
    """The settings of one start. `address` is None if the variables of this command decide it."""

    ports: Ports
    external: Mapping[str, str]
    address: GatewayAddress | None = None

    @classmethod
    def of_running(cls, root: Path) -> Self | None:
        """Return the state of the running stack in a folder, or None if none is running."""
        file = _file(root)
        if not (file.exists() and Supervisor(root).is_running()):
            return None
        state = json.loads(file.read_text())
        address = state.get("address")
        return cls(
            Ports(state["ports"]), state["external"], GatewayAddress.from_json(address) if address else None
        )

    @classmethod
    def configured(cls, environment: Mapping[str, str]) -> Self:
        """Return the ports and external components that the variables name."""
        ports = Ports.usual(environment)
        return cls(ports, external_components(ports, environment))

    def write(self, root: Path) -> None:
        """Write the state for other commands."""
        address = None if self.address is None else self.address.as_json()
        state = {"ports": dict(self.ports.by_name), "external": dict(self.external), "address": address}
        write_private(_file(root), json.dumps(state, indent=2) + "\n")


def _file(root: Path) -> Path:
    return root / "run" / "state.json"
