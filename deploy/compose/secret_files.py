"""The files with the secrets of docker-compose.yml, derived from the secrets of the installation."""

from __future__ import annotations

import json
from pathlib import Path

from deploy.local.components import kafka, redis, s3
from deploy.local.ports import SERVICES
from deploy.local.secrets import KAFKA_ADMINISTRATOR, KAFKA_USERS, Secrets

# In the network of Compose, each server has its standard port.
_PORTS = {"kafka": 9092, "kafka-controller": 9093, "kafka-objects": 9094, "postgres": 5432, "redis": 6379}

_KAFKA_DATA = Path("/var/lib/kafka/data")
_REDIS_DATA = Path("/data")


def write_secrets(folder: Path) -> dict[str, str]:
    """Write the files to the folder, and return their texts by name; existing passwords are kept.

    Only the owner may enter the folder. The files are readable by all users, since Compose mounts them
    with their permissions, and the containers run as other users.
    """
    secrets = Secrets.load_or_create(folder)
    folder.chmod(0o700)
    files = secret_files(secrets)
    for name, text in files.items():
        path = folder / name
        if not path.exists() or path.read_text() != text:
            # Write in place, since running containers have mounted this file.
            path.touch(mode=0o644)
            path.write_text(text)
        path.chmod(0o644)
    return files


def secret_files(secrets: Secrets) -> dict[str, str]:
    """Return the text of each file by its name."""
    files = {
        "postgres_password": secrets.postgres,
        "postgres_administrator_url": _postgres_url("postgres", secrets.postgres),
        "redis_url": f"redis://:{secrets.redis}@redis:{_PORTS['redis']}/0",
        "redis.conf": redis.configuration("* -::*", _PORTS["redis"], secrets.redis, _REDIS_DATA),
        "kafka.properties": kafka.properties(
            secrets.kafka_users, _PORTS, _KAFKA_DATA, bind="", advertised="kafka"
        ),
        "kafka_administrator_password": secrets.kafka_users[KAFKA_ADMINISTRATOR],
        "s3_root_secret": secrets.s3_root,
        "s3_accounts.json": json.dumps({"accessAccounts": s3.accounts(secrets)}),
        "clients_key_id": secrets.aws_access_key_id,
        "clients_secret": secrets.aws_secret_access_key,
        "secret_key": secrets.secret_key,
        "service_key": secrets.service_key,
    }
    for service in SERVICES:
        files[f"{service}_database_url"] = _postgres_url(service, secrets.roles[service])
    for service in KAFKA_USERS:
        files[f"{service}_kafka_password"] = secrets.kafka_users[service]
    for service, secret in secrets.s3_accounts.items():
        files[f"{service}_s3_secret"] = secret
    return files


def _postgres_url(role: str, password: str) -> str:
    return f"postgresql://{role}:{password}@postgres:{_PORTS['postgres']}/endcap"
