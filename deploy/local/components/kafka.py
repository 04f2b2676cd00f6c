"""Apache Kafka in KRaft mode: one node that is broker and controller."""

from __future__ import annotations

import base64
import subprocess
import uuid
from pathlib import Path

from deploy.local.failure import StackError
from deploy.local.ports import LOOPBACK, Ports
from deploy.local.supervisor import Program
from deploy.local.tools import Tools

_LOGGING = Path(__file__).resolve().parents[1] / "kafka" / "log4j2.xml"

# A session of 2 s instead of 9 s brings a killed broker back in 4 s instead of 12 s. The small
# cleaner buffer and the few internal partitions are what one machine needs.
_PROPERTIES = """\
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@{host}:{controller}
listeners=PLAINTEXT://{host}:{broker},CONTROLLER://{host}:{controller}
advertised.listeners=PLAINTEXT://{host}:{broker}
controller.listener.names=CONTROLLER
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


def program(tools: Tools, data: Path, ports: Ports) -> Program:
    """Write the configuration, format the storage once, and say how the broker is run."""
    config = data.with_name("kafka.properties")
    properties = _PROPERTIES.format(
        host=LOOPBACK, broker=ports["kafka"], controller=ports["kafka-controller"], data=data
    )
    config.write_text(properties)
    java = [str(tools.program("java")), "-cp", f"{tools.kafka_libraries}/*"]
    if not (data / "meta.properties").exists():
        _format(java, config)
    options = ["-Xms256m", "-Xmx512m", "-XX:+UseSerialGC", f"-Dlog4j2.configurationFile={_LOGGING}"]
    return Program("kafka", [*java, *options, "kafka.Kafka", str(config)], group="kafka", stop_seconds=5)


def _format(java: list[str], config: Path) -> None:
    cluster = base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")
    # Kafka parses what follows -t, so an id that begins with a dash would be an option.
    command = [*java, "kafka.tools.StorageTool", "format", f"--cluster-id={cluster}"]
    done = subprocess.run(
        [*command, "-c", str(config)], capture_output=True, text=True, timeout=60, check=False
    )
    if done.returncode != 0:
        raise StackError(f"Kafka's storage could not be formatted: {done.stdout}{done.stderr}")
