"""Passwords and keys of a stack: made once, kept in a folder that only its owner may read."""

from __future__ import annotations

import base64
import json
import os
import secrets
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import ClassVar

from deploy.local.ports import SERVICES

S3_ACCOUNTS = ("sync", "trainer", "loader", "recommender", "engine")
"""The services that use the object store, each with an account of its own."""

KAFKA_BROKER, KAFKA_ADMINISTRATOR = "broker", "admin"


@dataclass(frozen=True)
class Secrets:
    """What the components of one stack know of each other.

    `aws_access_key_id` and its secret are the clients' pair: Personalize and the object store take it.
    """

    postgres: str
    redis: str
    service_key: str
    secret_key: str
    aws_access_key_id: str
    aws_secret_access_key: str
    s3_root: str
    s3_accounts: dict[str, str]
    kafka_users: dict[str, str]
    roles: dict[str, str]

    _BY_NAME: ClassVar = ("s3_accounts", "kafka_users", "roles")

    @classmethod
    def kept_in(cls, folder: Path) -> Secrets:
        """Read the secrets of this stack, or make them at its first start."""
        path = folder / "secrets.json"
        known = json.loads(path.read_text()) if path.exists() else {}
        made = asdict(cls._new())
        # A stack of an earlier version lacks what was added since.
        values = {field.name: known.get(field.name, made[field.name]) for field in fields(cls)}
        for name in cls._BY_NAME:
            values[name] = made[name] | values[name]
        if values != known:
            write_private(path, json.dumps(values, indent=2) + "\n")
        return cls(**values)

    @classmethod
    def _new(cls) -> Secrets:
        return cls(
            postgres=secrets.token_hex(16),
            redis=secrets.token_hex(16),
            service_key=f"endcap_service_{secrets.token_urlsafe(24)}",
            secret_key=base64.urlsafe_b64encode(secrets.token_bytes(32)).decode(),
            aws_access_key_id=f"AKIA{base64.b32encode(secrets.token_bytes(10)).decode()}",
            aws_secret_access_key=secrets.token_urlsafe(30),
            s3_root=secrets.token_hex(20),
            s3_accounts={service: secrets.token_hex(20) for service in S3_ACCOUNTS},
            kafka_users={
                user: secrets.token_hex(16) for user in (KAFKA_BROKER, KAFKA_ADMINISTRATOR, *SERVICES)
            },
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
