"""The settings of the gateway."""

from __future__ import annotations

from pathlib import Path

import pytest

from deploy.gateway.settings import GatewaySettings


def test_the_defaults_speak_plain_http_on_the_loopback_address() -> None:
    settings = GatewaySettings.of({})

    assert (settings.scheme, settings.host, settings.port) == ("http", "127.0.0.1", 8080)


def test_a_certificate_and_its_key_make_it_https(tmp_path: Path) -> None:
    for name in ("certificate.pem", "key.pem"):
        (tmp_path / name).touch()
    settings = GatewaySettings.of(
        {
            "GATEWAY_CERTIFICATE": str(tmp_path / "certificate.pem"),
            "GATEWAY_CERTIFICATE_KEY": str(tmp_path / "key.pem"),
        }
    )

    assert settings.scheme == "https"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("GATEWAY_PORT", "http"),
        ("GATEWAY_REQUESTS_PER_SECOND", "-1"),
        ("GATEWAY_TRUSTED_PROXIES", "10.0.0.0/8, proxy.internal"),
        ("GATEWAY_CERTIFICATE_KEY", "/no/such/file"),
    ],
)
def test_an_invalid_value_is_refused_by_the_name_of_its_variable(name: str, value: str) -> None:
    with pytest.raises(ValueError, match=name):
        GatewaySettings.of({name: value})


def test_a_key_without_a_certificate_is_refused(tmp_path: Path) -> None:
    key = tmp_path / "key.pem"
    key.touch()

    with pytest.raises(ValueError, match="both"):
        GatewaySettings.of({"GATEWAY_CERTIFICATE_KEY": str(key)})


def test_trusted_proxies_are_addresses_and_networks() -> None:
    settings = GatewaySettings.of({"GATEWAY_TRUSTED_PROXIES": "10.0.0.0/8, 192.0.2.7"})

    assert settings.trusted_proxies == ("10.0.0.0/8", "192.0.2.7")
