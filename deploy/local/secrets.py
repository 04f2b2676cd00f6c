"""Passwords and keys of a stack: generated once, and stored in a folder that only its owner may read."""

from __future__ import annotations

import base64
import json
import os
import secrets
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import ClassVar

from deploy.local.ports import SERVICES

S3_ACCOUNTS = ("sync", "trainer", "loader", "recommender", "engine", "analytics")
"""The services that use the object store, each with an account of its own."""

WITHOUT_KAFKA = frozenset({"dashboard"})
"""The services that neither publish nor consume, so that they have no user of Kafka."""

KAFKA_USERS = tuple(service for service in SERVICES if service not in WITHOUT_KAFKA)
KAFKA_BROKER, KAFKA_ADMINISTRATOR = "broker", "admin"


@dataclass(frozen=True)
class Secrets:
    """The passwords and keys of one stack.

    `aws_access_key_id` and its secret are the key pair of clients, for Personalize and the object store.
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
    def load_or_create(cls, folder: Path) -> Secrets:
        """Return the stored secrets; generate and store those that are missing."""
        path = folder / "secrets.json"
        stored = json.loads(path.read_text()) if path.exists() else {}
        generated = asdict(cls._generate())
        # A stack of an earlier version lacks secrets that were added since.
        values = {field.name: stored.get(field.name, generated[field.name]) for field in fields(cls)}
        for name in cls._BY_NAME:
            values[name] = generated[name] | values[name]
        if values != stored:
            write_private(path, json.dumps(values, indent=2) + "\n")
        return cls(**values)

    @classmethod
    def _generate(cls) -> Secrets:
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
                user: secrets.token_hex(16) for user in (KAFKA_BROKER, KAFKA_ADMINISTRATOR, *KAFKA_USERS)
            },
            roles={service: secrets.token_hex(16) for service in SERVICES},
        )


def write_private(path: Path, content: str | bytes) -> None:
    """Replace a file atomically; only its owner may read it."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content.encode() if isinstance(content, str) else content)
    temporary.replace(path)
