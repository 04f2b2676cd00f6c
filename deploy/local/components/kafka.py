"""Apache Kafka in KRaft mode: one node that is broker and controller."""

from __future__ import annotations

import base64
import subprocess
import uuid
from collections.abc import Iterable, Mapping
from pathlib import Path

from deploy.local.errors import StackError
from deploy.local.ports import LOOPBACK, Ports
from deploy.local.secrets import KAFKA_ADMINISTRATOR, KAFKA_BROKER, write_private
from deploy.local.supervisor import Program
from deploy.local.tools import Tools

_LOGGING = Path(__file__).resolve().parents[1] / "kafka" / "log4j2.xml"

# SASL PLAIN over loopback. `broker` is Kafka's own user on both listeners with passwords; `admin` creates the
# topics; each service has a user with the permissions in the registry of topics, see shared/kafka/grants.py.
# The S3 server does not support SASL: its listener accepts anonymous clients, which may only write to
# uploads-v1.
#
# With a session timeout of 2 s instead of 9 s, a killed broker is back in 4 s instead of 12 s. The small
# cleaner buffer and the few internal partitions suffice for one machine.
_PROPERTIES = """\
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@{host}:{controller}
listeners=CLIENTS://{bind}:{broker},OBJECTS://{bind}:{objects},CONTROLLER://{host}:{controller}
advertised.listeners=CLIENTS://{advertised}:{broker},OBJECTS://{advertised}:{objects}
listener.security.protocol.map=CLIENTS:SASL_PLAINTEXT,OBJECTS:PLAINTEXT,CONTROLLER:SASL_PLAINTEXT
inter.broker.listener.name=CLIENTS
controller.listener.names=CONTROLLER
sasl.enabled.mechanisms=PLAIN
sasl.mechanism.inter.broker.protocol=PLAIN
sasl.mechanism.controller.protocol=PLAIN
listener.name.clients.plain.sasl.jaas.config={clients_login}
listener.name.controller.plain.sasl.jaas.config={controller_login}
authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer
super.users=User:{broker_user};User:{administrator}
log.dirs={data}
broker.session.timeout.ms=2000
broker.heartbeat.interval.ms=500
auto.create.topics.enable=false
message.max.bytes=8388608
replica.fetch.max.bytes=8388608
group.initial.rebalance.delay.ms=0
offsets.topic.replication.factor=1
offsets.topic.num.partitions=8
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
transaction.state.log.num.partitions=4
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
log.cleaner.dedupe.buffer.size=16777216
"""

ARCHIVE_OPTION = "-XX:SharedArchiveFile="
"""The option of Java that names an archive of classes; deploy/local/class_archive.py writes it."""


def program(tools: Tools, data: Path, ports: Ports, users: Mapping[str, str]) -> Program:
    """Write the configuration, format the storage if necessary, and return the broker's program."""
    config = data.with_name("kafka.properties")
    write_private(config, properties(users, ports, data))
    # Java ignores an archive that is missing or of another version.
    archive = f"{ARCHIVE_OPTION}{tools.kafka_class_archive}"
    java = [str(tools.program("java")), archive, "-cp", f"{tools.kafka_libraries}/*"]
    if not (data / "meta.properties").exists():
        _format(java, config)
    options = ["-Xms256m", "-Xmx512m", "-XX:+UseSerialGC", f"-Dlog4j2.configurationFile={_LOGGING}"]
    return Program("kafka", [*java, *options, "kafka.Kafka", str(config)], group="kafka", stop_seconds=5)


def properties(
    users: Mapping[str, str],
    ports: Mapping[str, int] | Ports,
    data: Path,
    *,
    bind: str = LOOPBACK,
    advertised: str = LOOPBACK,
) -> str:
    """Return the broker's configuration with the users' passwords; the controller listens on loopback."""
    return _PROPERTIES.format(
        host=LOOPBACK,
        bind=bind,
        advertised=advertised,
        broker=ports["kafka"],
        objects=ports["kafka-objects"],
        controller=ports["kafka-controller"],
        clients_login=login(users, users),
        controller_login=login(users, [KAFKA_BROKER]),
        broker_user=KAFKA_BROKER,
        administrator=KAFKA_ADMINISTRATOR,
        data=data,
    )


def login(passwords: Mapping[str, str], accepted: Iterable[str]) -> str:
    """Return a JAAS entry: Kafka logs in as `broker`, and accepts the users in `accepted`."""
    options = {"username": KAFKA_BROKER, "password": passwords[KAFKA_BROKER]}
    options |= {f"user_{user}": passwords[user] for user in accepted}
    words = " ".join(f'{name}="{value}"' for name, value in options.items())
    return f"org.apache.kafka.common.security.plain.PlainLoginModule required {words};"


def _format(java: list[str], config: Path) -> None:
    cluster = base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")
    # After `-t`, Kafka would take an id that starts with a dash for an option.
    command = [*java, "kafka.tools.StorageTool", "format", f"--cluster-id={cluster}"]
    process = subprocess.run(
        [*command, "-c", str(config)], capture_output=True, text=True, timeout=60, check=False, umask=0o077
    )
    if process.returncode != 0:
        raise StackError(f"Kafka's storage could not be formatted: {process.stdout}{process.stderr}")
