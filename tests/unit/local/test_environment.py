"""What a client of the running stack is told, and what a process is."""

from __future__ import annotations

from pathlib import Path

import pytest

from deploy.local.address import GatewayAddress
from deploy.local.environment import client_environment, process_environment, role_url
from deploy.local.ports import SERVICES, Ports
from deploy.local.secrets import Secrets

KEYS = {"ingest": "i", "read": "r", "catalogue": "c", "admin": "a", "service": "s", "tracking_id": "t"}


@pytest.fixture
def secrets(tmp_path: Path) -> Secrets:
    return Secrets.load_or_create(tmp_path)


@pytest.fixture(autouse=True)
def plain_shell(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_PROFILE", "AWS_SESSION_TOKEN", "AWS_ENDPOINT_URL_PERSONALIZE"):
        monkeypatch.delenv(name, raising=False)


def test_a_client_gets_exactly_these_variables(secrets: Secrets) -> None:
    address = GatewayAddress("http://127.0.0.1:8080", "http://127.0.0.1:8080")
    variables = client_environment(Ports.usual({}), secrets, {}, KEYS, address)

    assert set(variables) == {
        *(f"ENDCAP_{service.upper()}_URL" for service in SERVICES),
        "ENDCAP_URL",
        "AWS_ENDPOINT_URL",
        "ENDCAP_INGEST_KEY",
        "ENDCAP_READ_KEY",
        "ENDCAP_CATALOGUE_KEY",
        "ENDCAP_ADMIN_KEY",
        "ENDCAP_TRACKING_ID",
        "AWS_ENDPOINT_URL_S3",
        "AWS_ENDPOINT_URL_PERSONALIZE",
        "AWS_ENDPOINT_URL_PERSONALIZE_EVENTS",
        "AWS_ENDPOINT_URL_PERSONALIZE_RUNTIME",
        "AWS_REGION",
        "AWS_DEFAULT_REGION",
        "AWS_ACCESS_KEY_ID",
        "AWS_SECRET_ACCESS_KEY",
        "DATABASE_URL",
        "REDIS_URL",
        "KAFKA_BOOTSTRAP_SERVERS",
        "KAFKA_SECURITY_PROTOCOL",
        "KAFKA_SASL_MECHANISM",
        "KAFKA_USERNAME",
        "KAFKA_PASSWORD",
    }
    assert variables["ENDCAP_URL"] == variables["AWS_ENDPOINT_URL"] == "http://127.0.0.1:8080"
    assert variables["AWS_ENDPOINT_URL_PERSONALIZE_RUNTIME"] == variables["ENDCAP_ROUTER_URL"]
    assert variables["AWS_ENDPOINT_URL_PERSONALIZE_EVENTS"] == variables["ENDCAP_TRACKER_URL"]


def test_the_one_shop_of_a_local_stack_may_halt_a_consumer(
    secrets: Secrets, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("KAFKA_HALT_TENANTS", raising=False)
    assert (
        process_environment(Ports.usual({}), secrets, {}, keyless=True, root=Path())["KAFKA_HALT_TENANTS"]
        == "1"
    )

    monkeypatch.setenv("KAFKA_HALT_TENANTS", "3")
    assert (
        process_environment(Ports.usual({}), secrets, {}, keyless=True, root=Path())["KAFKA_HALT_TENANTS"]
        == "3"
    )


def test_a_service_connects_as_itself_to_the_administrators_database(secrets: Secrets) -> None:
    known = process_environment(Ports.usual({}), secrets, {}, keyless=True, root=Path("/r"))

    assert known["TRACKER_DATABASE_URL"] == role_url(
        known["DATABASE_URL"], "tracker", secrets.roles["tracker"]
    )
    assert known["TRACKER_DATABASE_URL"].endswith("@127.0.0.1:15432/endcap")


def test_a_persons_aws_session_does_not_reach_our_own_object_store(
    secrets: Secrets, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_SESSION_TOKEN", "from-a-login")

    known = process_environment(Ports.usual({}), secrets, {}, keyless=True, root=Path("/r"))

    assert "AWS_SESSION_TOKEN" not in known


def test_a_given_object_store_brings_its_own_credentials(
    secrets: Secrets, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "theirs")
    monkeypatch.setenv("AWS_SESSION_TOKEN", "from-a-login")
    external = {"s3": "https://s3.eu-central-1.amazonaws.com"}

    known = process_environment(Ports.usual({}), secrets, external, keyless=True, root=Path("/r"))

    assert known["AWS_ACCESS_KEY_ID"] == "theirs"
    assert known["AWS_SESSION_TOKEN"] == "from-a-login"
    assert known["AWS_ENDPOINT_URL_S3"] == external["s3"]
