"""Every Kafka client logs in to a broker that requires it, with SASL and with TLS."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path

import pytest
from pydantic import SecretStr

from shared.errors import Transient
from shared.events import CacheRefreshed
from shared.kafka import StateTable
from shared.kafka.topics import make_topics
from shared.settings import KafkaSettings
from tests.integration.shared.kafka_consumers import consumer, publish, until_committed
from tests.integration.shared.secure_kafka import PASSWORD, USER, SecureBroker, secure_broker
from tests.support.kafka import COMPACTED, Collector, fresh_topic, interactions, refreshed, running
from tests.support.stack import Components
from tests.support.waiting import eventually

pytestmark = pytest.mark.usefixtures("no_kafka_task_is_left")


@pytest.fixture(scope="module")
def broker(components: Components, tmp_path_factory: pytest.TempPathFactory) -> Iterator[SecureBroker]:
    folder = tmp_path_factory.mktemp("secure-kafka")
    with secure_broker(components.stack.tools, folder) as broker:
        yield broker


def login(broker: SecureBroker, protocol: str, mechanism: str, password: str = PASSWORD) -> KafkaSettings:
    listener = "tls" if protocol == "SASL_SSL" else "plain"
    return KafkaSettings.model_validate(
        {
            "kafka_bootstrap_servers": broker.address(listener),
            "kafka_security_protocol": protocol,
            "kafka_sasl_mechanism": mechanism,
            "kafka_username": USER,
            "kafka_password": SecretStr(password),
            "kafka_ca_file": str(broker.certificates.authority) if protocol == "SASL_SSL" else None,
        }
    )


def with_certificate(broker: SecureBroker) -> KafkaSettings:
    files = broker.certificates
    return KafkaSettings(
        kafka_bootstrap_servers=broker.address("certificate"),
        kafka_security_protocol="SSL",
        kafka_ca_file=str(files.authority),
        kafka_certificate_file=str(files.certificate),
        kafka_key_file=str(files.key),
    )


async def _works(settings: KafkaSettings) -> None:
    """Create topics, publish, consume, commit, and read a state topic."""
    topic, states = await fresh_topic(settings), await fresh_topic(settings, COMPACTED)
    events, collector = interactions(20), Collector()
    await publish(settings, topic, events)
    await publish(settings, states, [refreshed("shop", 3)])
    table = StateTable[CacheRefreshed](settings, states)
    async with running(consumer(settings, topic, collector), table):
        await collector.until_ids(events)
        await until_committed(settings, topic)
        await eventually(lambda: "shop" in table.states)


@pytest.mark.parametrize("protocol", ["SASL_PLAINTEXT", "SASL_SSL"])
@pytest.mark.parametrize("mechanism", ["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"])
async def test_a_password_opens_every_listener(broker: SecureBroker, protocol: str, mechanism: str) -> None:
    await _works(login(broker, protocol, mechanism))


async def test_a_client_certificate_opens_the_listener_that_requires_one(broker: SecureBroker) -> None:
    await _works(with_certificate(broker))


async def test_a_wrong_password_is_refused_and_never_logged(
    broker: SecureBroker, caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    await make_topics(login(broker, "SASL_SSL", "PLAIN"), [])
    with caplog.at_level(logging.DEBUG), pytest.raises(Transient) as error:
        await make_topics(login(broker, "SASL_SSL", "SCRAM-SHA-512", "not-the-word"), [], patience=0)

    output = capsys.readouterr()
    assert "not-the-word" not in f"{error.value!r}{caplog.text}{output.out}{output.err}"


async def test_a_broker_of_an_unknown_authority_is_refused(broker: SecureBroker, tmp_path: Path) -> None:
    await make_topics(login(broker, "SASL_SSL", "PLAIN"), [])
    stranger = login(broker, "SASL_SSL", "PLAIN").model_copy(update={"kafka_ca_file": None})

    with pytest.raises(Transient):
        await make_topics(stranger, [], patience=0)
