"""versitygw: an S3 server over a folder, which publishes each new object to Kafka."""

from __future__ import annotations

import http.client
import json
import os
from pathlib import Path

from deploy.local.ports import LOOPBACK, Ports
from deploy.local.supervisor import Program
from deploy.local.tools import Tools

_HEALTH = "/health"
UPLOADS_TOPIC = "uploads-v1"


def program(tools: Tools, data: Path, ports: Ports, kafka: str) -> Program:
    """Say how the server is run; it ends at once while Kafka or its topic is away."""
    data.mkdir(parents=True, exist_ok=True)
    events = data.with_name("s3-events.json")
    events.write_text(json.dumps({"s3:ObjectCreated:*": True}))
    options = {
        "--port": f"{LOOPBACK}:{ports['s3']}",
        "--health": _HEALTH,
        "--event-kafka-url": kafka.split(",", maxsplit=1)[0],
        "--event-kafka-topic": UPLOADS_TOPIC,
        "--event-filter": str(events),
    }
    words = [word for pair in options.items() for word in pair]
    command = [str(tools.program("versitygw")), "--quiet", *words, "posix"]
    return Program(
        "s3",
        [*command, *_metadata_options(data), str(data)],
        group="s3",
        stop_seconds=2,
        environment={
            "ROOT_ACCESS_KEY_ID": "%(ENV_AWS_ACCESS_KEY_ID)s",
            "ROOT_SECRET_ACCESS_KEY": "%(ENV_AWS_SECRET_ACCESS_KEY)s",
            "VGW_REGION": "%(ENV_AWS_REGION)s",
        },
    )


def url(ports: Ports) -> str:
    """The endpoint."""
    return f"http://{LOOPBACK}:{ports['s3']}"


def answers(ports: Ports) -> bool:
    """Whether its health page does."""
    connection = http.client.HTTPConnection(LOOPBACK, ports["s3"], timeout=2)
    try:
        connection.request("GET", _HEALTH)
        return connection.getresponse().status == http.client.OK
    except OSError:
        return False
    finally:
        connection.close()


def _metadata_options(data: Path) -> list[str]:
    """Metadata is in extended attributes, or in a folder beside where the file system has none.

    The choice is made once: objects written the one way are unreadable the other way.
    """
    sidecar = data.with_name("s3-metadata")
    if not sidecar.exists() and not any(data.iterdir()) and not _has_attributes(data):
        sidecar.mkdir()
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
