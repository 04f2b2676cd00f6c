"""Connection options follow the settings, and every request has a timeout."""

from __future__ import annotations

import ssl

from pydantic import SecretStr

from shared.kafka.connection import client_options
from shared.settings import KafkaSettings


def test_a_plain_broker_needs_its_address_only() -> None:
    options = client_options(KafkaSettings(kafka_bootstrap_servers="one:9092,two:9092"), "tracker")

    assert (options["bootstrap_servers"], options["client_id"]) == ("one:9092,two:9092", "tracker")
    assert not any(name.startswith(("sasl", "ssl")) for name in options)
    assert options["request_timeout_ms"] <= 10_000


def test_a_managed_broker_is_spoken_to_encrypted_and_with_a_password() -> None:
    settings = KafkaSettings(
        kafka_security_protocol="SASL_SSL",
        kafka_sasl_mechanism="SCRAM-SHA-512",
        kafka_username="tracker",
        kafka_password=SecretStr("open sesame"),
    )

    options = client_options(settings, "tracker")

    context = options["ssl_context"]
    assert isinstance(context, ssl.SSLContext)
    assert (context.verify_mode, context.check_hostname) == (ssl.CERT_REQUIRED, True)
    assert options["sasl_mechanism"] == "SCRAM-SHA-512"
    assert (options["sasl_plain_username"], options["sasl_plain_password"]) == ("tracker", "open sesame")
    assert "open sesame" not in repr(settings)
