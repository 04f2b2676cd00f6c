"""Connection options of every Kafka client: address, security, and a timeout of every request."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from aiokafka.helpers import create_ssl_context

if TYPE_CHECKING:
    from shared.settings import KafkaSettings

METADATA_MAX_AGE_MS = 60_000
"""The longest time until a client knows new partitions and leaders; aiokafka's default is five minutes."""

REQUEST_TIMEOUT_MS = 10_000
"""After this long without a response the connection to a frozen broker is replaced; arbitrary."""


def client_options(settings: KafkaSettings, client_id: str) -> dict[str, Any]:
    """Return the keyword arguments that every aiokafka client takes."""
    options: dict[str, Any] = {
        "bootstrap_servers": settings.kafka_bootstrap_servers,
        "client_id": client_id,
        "request_timeout_ms": REQUEST_TIMEOUT_MS,
        "security_protocol": settings.kafka_security_protocol,
        "metadata_max_age_ms": METADATA_MAX_AGE_MS,
    }
    if settings.kafka_security_protocol.endswith("SSL"):
        options["ssl_context"] = create_ssl_context(
            cafile=settings.kafka_ca_file,
            certfile=settings.kafka_certificate_file,
            keyfile=settings.kafka_key_file,
        )
    if settings.kafka_security_protocol == "SASL_PLAINTEXT":
        # A choice of the settings, and docs/security.md says where it is safe: no warning per connection.
        logging.getLogger("aiokafka.conn").addFilter(_without_password_warning)
    if settings.kafka_security_protocol.startswith("SASL"):
        password = settings.kafka_password
        options["sasl_mechanism"] = settings.kafka_sasl_mechanism
        options["sasl_plain_username"] = settings.kafka_username
        options["sasl_plain_password"] = password.get_secret_value() if password else None
    return options


def _without_password_warning(record: logging.LogRecord) -> bool:
    return not str(record.msg).startswith("Sending username and password in the clear")
