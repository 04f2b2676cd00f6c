"""The process of the demo shop knows its own keys and nothing else of the stack."""

from __future__ import annotations

from pathlib import Path

import pytest

from deploy.local import demo_shop, product
from deploy.local.address import GatewayAddress
from deploy.local.ports import Ports
from examples.shop.settings import Settings

PORTS = Ports.usual({"SHOP_PORT": "9020"})
PLAIN = GatewayAddress("http://127.0.0.1:9080", "http://127.0.0.1:9080")
SECURE = GatewayAddress("https://shop.example:9080", "http://127.0.0.1:9082")


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """An environment with passwords, as that of the stack's processes."""
    monkeypatch.setenv("DATABASE_URL", "postgres://admin:secret@x/y")
    monkeypatch.setenv("ENDCAP_SERVICE_KEY", "secret")
    monkeypatch.setenv("SHOP_NAME", "Corner Shop")
    return monkeypatch


def test_it_has_no_password_of_the_stack(environment: pytest.MonkeyPatch, tmp_path: Path) -> None:
    command = list(demo_shop.program(tmp_path, PORTS, PLAIN).command)

    assert command[:2] == ["env", "-i"]
    assert "secret" not in " ".join(command)
    assert {"SHOP_NAME=Corner Shop", "SHOP_PORT=9020", "SHOP_ENDCAP_URL=http://127.0.0.1:9080"} <= set(
        command
    )


def test_with_tls_its_server_calls_the_gateway_of_its_machine_without(
    environment: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    command = list(demo_shop.program(tmp_path, PORTS, SECURE).command)

    assert {"SHOP_ENDCAP_URL=http://127.0.0.1:9082", "SHOP_SECURE_COOKIES=True"} <= set(command)


def test_keys_are_made_once_for_each_address(environment: pytest.MonkeyPatch, tmp_path: Path) -> None:
    calls: list[list[str]] = []

    def run(words: list[str], *_: object) -> str:
        calls.append(words)
        return f"key-{words[3]}-{len(words)}"

    environment.setattr(product, "run_secret_module", run)
    for address in (PLAIN, PLAIN, SECURE):
        demo_shop.create_keys({}, tmp_path / "log", tmp_path, address)

    assert sorted(words[3] for words in calls) == ["read", "read", "storefront", "storefront"]
    assert all("http://localhost:9080" in words for words in calls[:2])
    secure = {"https://shop.example:9080", "https://localhost:9080", "https://127.0.0.1:9080"}
    assert all(secure <= set(words) for words in calls[2:])
    assert (tmp_path / "keys" / "shop-read").stat().st_mode & 0o077 == 0


def test_the_shop_reads_keys_from_files(environment: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "key").write_text("the key\n")
    environment.setenv("SHOP_READ_KEY_FILE", str(tmp_path / "key"))

    settings = Settings.of_environment()

    assert settings.read_key.get_secret_value() == "the key"
    assert settings.name == "Corner Shop"
