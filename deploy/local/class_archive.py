"""Kafka's classes in the form that Java maps into memory: a broker starts in 2.5 s of CPU time, not in 4 s.

    python -m deploy.local.class_archive

`deploy/local/install` runs it once. It starts a broker on free ports, and Java writes the classes of the
broker to the archive when the broker ends (JEP 350). Without the archive, or with another version of
Java, a broker loads its classes from the jars.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from contextlib import closing
from pathlib import Path
from socket import create_connection

from deploy.local.components import kafka
from deploy.local.errors import StackError
from deploy.local.ports import LOOPBACK, Ports
from deploy.local.secrets import KAFKA_ADMINISTRATOR, KAFKA_BROKER
from deploy.local.tools import Tools

_START_SECONDS = 120
_STOP_SECONDS = 60


def write_archive(tools: Tools) -> None:
    """Write the archive of Kafka's classes. Raises StackError if no broker starts."""
    ports = Ports.free()
    users = {KAFKA_BROKER: "unused", KAFKA_ADMINISTRATOR: "unused"}
    with tempfile.TemporaryDirectory(prefix="endcap-classes-") as folder:
        data = Path(folder) / "kafka"
        data.mkdir()
        program = kafka.program(tools, data, ports, users)
        java, *words = [word for word in program.command if not word.startswith(kafka.ARCHIVE_OPTION)]
        command = [java, f"-XX:ArchiveClassesAtExit={tools.kafka_class_archive}", *words]
        broker = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            _wait_until_listening(broker, ports["kafka"])
        finally:
            broker.terminate()
            broker.wait(_STOP_SECONDS)


def _wait_until_listening(broker: subprocess.Popen[bytes], port: int) -> None:
    end = time.monotonic() + _START_SECONDS
    while time.monotonic() < end and broker.poll() is None:
        try:
            with closing(create_connection((LOOPBACK, port), timeout=1)):
                return
        except OSError:
            time.sleep(0.1)
    raise StackError("Kafka did not start, so there is no archive of its classes")


if __name__ == "__main__":
    try:
        write_archive(Tools())
    except StackError as error:
        sys.exit(f"class archive: {error}")
