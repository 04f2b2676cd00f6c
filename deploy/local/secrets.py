"""Passwords and keys of a stack: made once, kept in a folder that only its owner may read."""

from __future__ import annotations

import base64
import json
import os
import secrets
from dataclasses import asdict, dataclass, fields
from pathlib import Path

from deploy.local.ports import SERVICES


@dataclass(frozen=True)
class Secrets:
    """What the components of one stack know of each other."""

    postgres: str
    service_key: str
    secret_key: str
    aws_access_key_id: str
    aws_secret_access_key: str
    roles: dict[str, str]

    @classmethod
    def kept_in(cls, folder: Path) -> Secrets:
        """Read the secrets of this stack, or make them at its first start."""
        path = folder / "secrets.json"
        known = json.loads(path.read_text()) if path.exists() else {}
        made = asdict(cls._new())
        # A stack of an earlier version lacks what was added since.
        values = {field.name: known.get(field.name, made[field.name]) for field in fields(cls)}
        values["roles"] = made["roles"] | values["roles"]
        if values != known:
            write_private(path, json.dumps(values, indent=2) + "\n")
        return cls(**values)

    @classmethod
    def _new(cls) -> Secrets:
        return cls(
            postgres=secrets.token_hex(16),
            service_key=f"endcap_service_{secrets.token_urlsafe(24)}",
            secret_key=base64.urlsafe_b64encode(secrets.token_bytes(32)).decode(),
            aws_access_key_id=f"AKIA{base64.b32encode(secrets.token_bytes(10)).decode()}",
            aws_secret_access_key=secrets.token_urlsafe(30),
            roles={service: secrets.token_hex(16) for service in SERVICES},
        )


def write_private(path: Path, text: str) -> None:
    """Replace the file at once, readable by its owner alone from its first byte on."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    fresh = path.with_name(f".{path.name}.{os.getpid()}")
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(text)
    fresh.replace(path)
