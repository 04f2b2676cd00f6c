"""A Kafka broker with a listener for each login: SASL with and without TLS, and client certificates."""

from __future__ import annotations

import base64
import subprocess
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from deploy.local.components.kafka import ARCHIVE_OPTION
from deploy.local.ports import LOOPBACK, is_open
from deploy.local.tools import Tools
from tests.integration.shared.redis_servers import free_port
from tests.support.certificates import Certificates, make_certificates
from tests.support.processes import start
from tests.support.waiting import until

USER, PASSWORD = "shop", "open-sesame"

_PROPERTIES = """\
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@{host}:{controller}
listeners=INNER://{host}:{inner},CONTROLLER://{host}:{controller},PLAIN://{host}:{plain},\
TLS://{host}:{tls},CERTIFICATE://{host}:{certificate}
listener.security.protocol.map=INNER:PLAINTEXT,CONTROLLER:PLAINTEXT,PLAIN:SASL_PLAINTEXT,TLS:SASL_SSL,\
CERTIFICATE:SSL
inter.broker.listener.name=INNER
controller.listener.names=CONTROLLER
sasl.enabled.mechanisms=PLAIN,SCRAM-SHA-256,SCRAM-SHA-512
listener.name.plain.plain.sasl.jaas.config={jaas_plain}
listener.name.tls.plain.sasl.jaas.config={jaas_plain}
listener.name.plain.scram-sha-256.sasl.jaas.config={jaas_scram}
listener.name.plain.scram-sha-512.sasl.jaas.config={jaas_scram}
listener.name.tls.scram-sha-256.sasl.jaas.config={jaas_scram}
listener.name.tls.scram-sha-512.sasl.jaas.config={jaas_scram}
ssl.keystore.type=PEM
ssl.keystore.location={chain}
ssl.truststore.type=PEM
ssl.truststore.location={authority}
listener.name.certificate.ssl.client.auth=required
log.dirs={data}
group.initial.rebalance.delay.ms=0
offsets.topic.replication.factor=1
offsets.topic.num.partitions=2
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
log.cleaner.dedupe.buffer.size=16777216
"""


@dataclass(frozen=True)
class SecureBroker:
    """The ports of the listeners, and the certificates."""

    ports: dict[str, int]
    certificates: Certificates

    def address(self, listener: str) -> str:
        return f"{LOOPBACK}:{self.ports[listener]}"


@contextmanager
def secure_broker(tools: Tools, folder: Path) -> Iterator[SecureBroker]:
    """Run the broker until the end of the context."""
    certificates = make_certificates(folder / "tls")
    chain = folder / "tls" / "chain.pem"
    chain.write_text(certificates.chain)
    ports = {name: free_port() for name in ("inner", "controller", "plain", "tls", "certificate")}
    config = folder / "kafka.properties"
    config.write_text(
        _PROPERTIES.format(
            host=LOOPBACK,
            **ports,
            jaas_plain=_jaas("plain.PlainLoginModule", f'user_{USER}="{PASSWORD}"'),
            jaas_scram=_jaas("scram.ScramLoginModule", ""),
            chain=chain,
            authority=certificates.authority,
            data=folder / "data",
        )
    )
    archive = f"{ARCHIVE_OPTION}{tools.kafka_class_archive}"
    java = [str(tools.program("java")), archive, "-cp", f"{tools.kafka_libraries}/*"]
    _format(java, config)
    with (folder / "kafka.log").open("wb") as log:
        options = ["-Xms192m", "-Xmx256m", "-XX:+UseSerialGC"]
        process = start([*java, *options, "kafka.Kafka", str(config)], stdout=log, stderr=subprocess.STDOUT)
    try:
        until(lambda: is_open(ports["certificate"]), "the broker listens")
        yield SecureBroker(ports, certificates)
    finally:
        process.kill()
        process.wait()


def _jaas(module: str, options: str) -> str:
    login = f'username="{USER}" password="{PASSWORD}"' if module.startswith("plain") else ""
    return f"org.apache.kafka.common.security.{module} required {login} {options};"


def _format(java: list[str], config: Path) -> None:
    cluster = base64.urlsafe_b64encode(uuid.UUID(int=1).bytes).decode().rstrip("=")
    users = [
        word
        for mechanism in ("SCRAM-SHA-256", "SCRAM-SHA-512")
        for word in ("--add-scram", f"{mechanism}=[name={USER},password={PASSWORD}]")
    ]
    command = [*java, "kafka.tools.StorageTool", "format", f"--cluster-id={cluster}", "-c", str(config)]
    made = subprocess.run([*command, *users], capture_output=True, text=True, timeout=120, check=False)
    assert made.returncode == 0, made.stdout + made.stderr
