"""Every service can print its settings, without any secret."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path

import orjson
import pytest

from shared.settings import KafkaSettings, PostgresSettings, RedisSettings, service_database_urls

SECRETS = {
    "AWS_SECRET_ACCESS_KEY": "the-secret-of-aws",
    "ENDCAP_SECRET_KEY": "the-secret-of-endcap",
    "ENDCAP_SERVICE_KEY": "the-key-of-services",
    "KAFKA_PASSWORD": "the-password-of-kafka",
    "DATABASE_URL": "postgresql://somebody:the-password-of-postgres@127.0.0.1/endcap",
    "REDIS_URL": "redis://:the-password-of-redis@127.0.0.1/0",
}


@pytest.mark.parametrize(
    "service", ["tracker", "sync", "trainer", "loader", "recommender", "router", "engine"]
)
def test_settings_can_be_shown_without_a_secret(monkeypatch: pytest.MonkeyPatch, service: str) -> None:
    for name, value in SECRETS.items():
        monkeypatch.delenv(f"{service.upper()}_{name}", raising=False)
        monkeypatch.setenv(name, value)

    shown = orjson.dumps(import_module(f"services.{service}.settings").Settings().described()).decode()

    assert "********" in shown
    assert not [value for value in SECRETS.values() if value.rpartition(":")[2].partition("@")[0] in shown]


def test_a_value_may_lie_in_a_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "common").write_text("postgresql://common@db/endcap\n")
    (tmp_path / "own").write_text("postgresql://tracker:p%40ss@db/endcap\n")
    for name in ("DATABASE_URL", "TRACKER_DATABASE_URL", "SYNC_DATABASE_URL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("DATABASE_URL_FILE", str(tmp_path / "common"))
    monkeypatch.setenv("TRACKER_DATABASE_URL_FILE", str(tmp_path / "own"))

    assert PostgresSettings.of("tracker").database_url == "postgresql://tracker:p%40ss@db/endcap"
    assert PostgresSettings.of("sync").database_url == "postgresql://common@db/endcap"
    assert service_database_urls() == ["postgresql://tracker:p%40ss@db/endcap"]


def test_a_secret_from_a_file_is_masked_too(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "password").write_text("the-password-of-kafka\n")
    monkeypatch.delenv("KAFKA_PASSWORD", raising=False)
    monkeypatch.setenv("KAFKA_PASSWORD_FILE", str(tmp_path / "password"))

    password = KafkaSettings().kafka_password

    assert password is not None
    assert password.get_secret_value() == "the-password-of-kafka"
    assert "the-password-of-kafka" not in repr(KafkaSettings())


def test_a_file_that_is_not_there_and_a_value_given_twice_are_refused(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.delenv("REDIS_URL", raising=False)
    monkeypatch.setenv("REDIS_URL_FILE", str(tmp_path / "missing"))
    with pytest.raises(ValueError, match=r"REDIS_URL_FILE=.*missing can't be read"):
        RedisSettings()

    (tmp_path / "missing").write_text("redis://here")
    monkeypatch.setenv("REDIS_URL", "redis://there")
    with pytest.raises(ValueError, match="REDIS_URL and REDIS_URL_FILE are both set"):
        RedisSettings()


def test_tls_of_postgres_is_added_to_the_address_unless_that_has_it() -> None:
    tls = {"database_ssl_mode": "verify-full", "database_ca_file": "/etc/ca one.pem"}

    def secured(url: str, **changes: str | None) -> str:
        return PostgresSettings.model_validate({"database_url": url, **tls, **changes}).secured_url

    assert secured("postgresql://a:p%2Fb@db/x") == (
        "postgresql://a:p%2Fb@db/x?sslmode=verify-full&sslrootcert=%2Fetc%2Fca+one.pem"
    )
    assert secured("postgresql://a@one,two:5433/x?sslmode=require") == (
        "postgresql://a@one,two:5433/x?sslmode=require&sslrootcert=%2Fetc%2Fca+one.pem"
    )
    plain = "postgresql:///x?host=/tmp"
    assert secured(plain, database_ssl_mode=None, database_ca_file=None) == plain


def test_an_unknown_protocol_of_kafka_is_refused_at_the_start() -> None:
    with pytest.raises(ValueError, match="SASL_SSL"):
        KafkaSettings.model_validate({"kafka_security_protocol": "SASL_TLS"})
