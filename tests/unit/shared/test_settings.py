"""Every service can show its settings, and shows no secret."""

from __future__ import annotations

from importlib import import_module

import orjson
import pytest

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
