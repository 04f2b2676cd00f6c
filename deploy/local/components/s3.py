"""versitygw: an S3 server for a folder, which publishes a notice of each new object to Kafka."""

from __future__ import annotations

import http.client
import json
import os
from pathlib import Path

from deploy.local.ports import LOOPBACK, Ports
from deploy.local.rpc import socket_path
from deploy.local.secrets import Secrets, write_private
from deploy.local.supervisor import Program
from deploy.local.tools import Tools

_HEALTH = "/health"
UPLOADS_TOPIC = "uploads-v1"
ROOT_ACCOUNT = "endcap-root"


def program(tools: Tools, data: Path, ports: Ports, secrets: Secrets, kafka: str) -> Program:
    """Write the configuration, and return the server's program. It ends at once without Kafka or its topic.

    Accounts are managed over a socket in the folder `run`, which only the owner of the stack may use.
    """
    events = data.with_name("s3-events.json")
    write_private(events, json.dumps({"s3:ObjectCreated:*": True}))
    folder = data.with_name("s3-accounts")
    write_accounts(folder / "users.json", secrets)
    options = {
        "--port": f"{LOOPBACK}:{ports['s3']}",
        "--admin-port": str(socket_path(data.parents[1] / "run", "s3-admin.sock")),
        "--socket-perm": "0600",
        "--iam-dir": str(folder),
        "--health": _HEALTH,
        "--event-kafka-url": kafka.split(",", maxsplit=1)[0],
        "--event-kafka-topic": UPLOADS_TOPIC,
        "--event-filter": str(events),
    }
    words = [word for pair in options.items() for word in pair]
    command = [str(tools.program("versitygw")), "--quiet", *words, "posix", "--dir-perms", "0700"]
    return Program(
        "s3",
        [*command, *_metadata_options(data), str(data)],
        group="s3",
        stop_seconds=2,
        environment={
            "ROOT_ACCESS_KEY_ID": ROOT_ACCOUNT,
            "ROOT_SECRET_ACCESS_KEY": secrets.s3_root,
            "VGW_REGION": "%(ENV_AWS_REGION)s",
        },
    )


def account_name(service: str) -> str:
    """Return the access key id of a service."""
    return f"endcap-{service}"


def write_accounts(path: Path, secrets: Secrets) -> None:
    """Write the accounts of the stack, and keep all others in the file."""
    stored = json.loads(path.read_text()) if path.exists() else {}
    write_private(
        path, json.dumps({"accessAccounts": (stored.get("accessAccounts") or {}) | accounts(secrets)})
    )


def accounts(secrets: Secrets) -> dict[str, dict[str, object]]:
    """Return the accounts of the services and of the clients, by their access key ids.

    The engine has the role `admin` to read and write the buckets of clients. Clients create buckets of their
    own; the policies of the two shared buckets grant access to clients and to the other services.
    """
    pairs = [
        (account_name(service), secret, "admin" if service == "engine" else "user")
        for service, secret in secrets.s3_accounts.items()
    ]
    pairs.append((secrets.aws_access_key_id, secrets.aws_secret_access_key, "userplus"))
    return {
        name: {"access": name, "secret": secret, "role": role, "userID": 0, "groupID": 0, "projectID": 0}
        for name, secret, role in pairs
    }


def url(ports: Ports) -> str:
    """Return the endpoint."""
    return f"http://{LOOPBACK}:{ports['s3']}"


def answers(ports: Ports) -> bool:
    """Return whether the server's health page answers."""
    connection = http.client.HTTPConnection(LOOPBACK, ports["s3"], timeout=2)
    try:
        connection.request("GET", _HEALTH)
        return connection.getresponse().status == http.client.OK
    except OSError:
        return False
    finally:
        connection.close()


def _metadata_options(data: Path) -> list[str]:
    """Return the options for metadata: extended attributes, or a separate folder if the file system has none.

    The choice is made once, since objects written in one way cannot be read in the other.
    """
    sidecar = data.with_name("s3-metadata")
    if not sidecar.exists() and not any(data.iterdir()) and not _has_attributes(data):
        sidecar.mkdir(mode=0o700)
    return ["--sidecar", str(sidecar)] if sidecar.exists() else []


def _has_attributes(folder: Path) -> bool:
    probe = folder.with_name(".attributes")
    probe.touch()
    try:
        os.setxattr(probe, "user.endcap", b"1")
    except (AttributeError, OSError):
        return False
    finally:
        probe.unlink()
    return True
