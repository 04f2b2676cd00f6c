"""Passwords are masked in every text that people read, wherever they are in a URL."""

from __future__ import annotations

import logging

import orjson
import pytest
import structlog
from pydantic import ValidationError

from shared import observability
from shared.aws import WireError
from shared.errors import ApiError, Permanent, Transient
from shared.masking import masked
from shared.settings import AuthSettings, ObservabilitySettings, PostgresSettings

SECRET = "hush-1"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        (f"postgresql://u:{SECRET}@h/db", "postgresql://u:********@h/db"),
        (f"redis://:{SECRET}@h:6379/0", "redis://:********@h:6379/0"),
        (f"postgresql://u:{SECRET}@x@h/db", "postgresql://u:********@h/db"),
        (f"postgresql://u:{SECRET}/x@h/db", "postgresql://u:********@h/db"),
        (f"postgresql://u@h/db?password={SECRET}", "postgresql://u@h/db?password=********"),
        (
            f"postgresql://h/db?user=u&password={SECRET}&ssl=on",
            "postgresql://h/db?user=u&password=********&ssl=on",
        ),
        (f"postgresql://h/db?sslpassword={SECRET}", "postgresql://h/db?sslpassword=********"),
        (f"postgresql://h/db?passfile=/{SECRET}", "postgresql://h/db?passfile=********"),
        (f"postgresql://h/db?PassWord={SECRET}", "postgresql://h/db?PassWord=********"),
        (f"postgresql://h/db?p%61ssword={SECRET}", "postgresql://h/db?p%61ssword=********"),
        (f"https://otlp.example/v1?api-key={SECRET}#x", "https://otlp.example/v1?api-key=********#x"),
        (f"https://b.example/k?X-Amz-Signature={SECRET}", "https://b.example/k?X-Amz-Signature=********"),
        (f"host=h user=u password={SECRET} dbname=d", "host=h user=u password=******** dbname=d"),
        (f"password = 'a {SECRET}'", "password = ********"),
        (f"http://a:{SECRET}@h1,http://b:{SECRET}@h2", "http://a:********@h1,http://b:********@h2"),
        (f'Could not connect to "http://a:{SECRET}@h/b"', 'Could not connect to "http://a:********@h/b"'),
        ("http://127.0.0.1:7070/bucket/jane@shop.example.csv", None),
        ("https://shop.example/a?page=2&sort=price", None),
        ("arn:aws:personalize:eu-west-1:000000000000:dataset/a=b", None),
        ("jane@shop.example said: price=3", None),
    ],
)
def test_a_password_is_masked_and_nothing_else(text: str, shown: str | None) -> None:
    assert masked(text) == (shown or text)
    assert masked(masked(text)) == (shown or text)


@pytest.mark.parametrize(
    "url",
    [
        f"postgresql://u:{SECRET}@h/db",
        f"postgresql://h/db?user=u&password={SECRET}",
        f"postgresql://h/db?sslpassword={SECRET}&passfile={SECRET}",
    ],
)
def test_settings_logs_and_errors_show_none(
    monkeypatch: pytest.MonkeyPatch, capfdbinary: pytest.CaptureFixture[bytes], url: str
) -> None:
    monkeypatch.setenv("TRACKER_DATABASE_URL", url)
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", url)
    from services.tracker.settings import Settings  # noqa: PLC0415 - reads the environment

    error = ConnectionRefusedError(f"could not connect to {url}")
    configured = structlog.get_config()
    handlers, level = logging.getLogger().handlers, logging.getLogger().level
    try:
        observability.configure("tracker", ObservabilitySettings(otel_exporter_otlp_endpoint=None))
        log = structlog.get_logger()
        log.warning("away", error=repr(error), where={"url": [url]}, raw=error)
        log.error("away", exc_info=error)
        logging.getLogger("somebody").error("away: %s", url)
    finally:
        structlog.configure(**configured)
        logging.getLogger().handlers, logging.getLogger().level = handlers, level

    logged = capfdbinary.readouterr().out
    assert logged.count(b"away") >= 3
    assert b"********" in logged
    assert SECRET.encode() not in logged
    assert SECRET not in orjson.dumps(Settings().described()).decode()
    for raised in (
        Permanent(str(error)),
        Transient(str(error)),
        ApiError(503, "Unavailable", str(error)),
        WireError("ServiceUnavailable", str(error)),
    ):
        texts = (str(raised), repr(raised), getattr(raised, "detail", ""), getattr(raised, "message", ""))
        assert SECRET not in " ".join(texts)


def test_a_setting_that_is_wrong_is_named_without_its_value(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ENDCAP_UNVERIFIED_ACCOUNT", SECRET)
    monkeypatch.setenv("DATABASE_POOL_SIZE", SECRET)

    for settings, name in (
        (AuthSettings, "endcap_unverified_account"),
        (PostgresSettings, "database_pool_size"),
    ):
        with pytest.raises(ValidationError, match=name) as refused:
            settings()
        assert SECRET not in str(refused.value)
