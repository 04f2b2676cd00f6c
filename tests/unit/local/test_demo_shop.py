"""The process of the demo shop knows its own keys and nothing else of the stack."""

from __future__ import annotations

from pathlib import Path

import pytest

from deploy.local import demo_shop, product
from deploy.local.ports import Ports
from examples.shop.settings import Settings

PORTS = Ports.usual({"SHOP_PORT": "9020", "GATEWAY_PORT": "9080"})


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """An environment with passwords, as that of the stack's processes."""
    monkeypatch.setenv("DATABASE_URL", "postgres://admin:secret@x/y")
    monkeypatch.setenv("ENDCAP_SERVICE_KEY", "secret")
    monkeypatch.setenv("SHOP_NAME", "Corner Shop")
    monkeypatch.delenv("GATEWAY_CERTIFICATE", raising=False)
    return monkeypatch


def test_it_has_no_password_of_the_stack(environment: pytest.MonkeyPatch, tmp_path: Path) -> None:
    command = list(demo_shop.program(tmp_path, PORTS).command)

    assert command[:2] == ["env", "-i"]
    assert "secret" not in " ".join(command)
    assert {"SHOP_NAME=Corner Shop", "SHOP_PORT=9020", "SHOP_ENDCAP_URL=http://127.0.0.1:9080"} <= set(
        command
    )


def test_keys_are_made_once_for_each_address(environment: pytest.MonkeyPatch, tmp_path: Path) -> None:
    calls: list[list[str]] = []

    def run(words: list[str], *_: object) -> str:
        calls.append(words)
        return f"key-{words[3]}-{len(words)}"

    environment.setattr(product, "run_secret_module", run)
    for ports in (PORTS, PORTS, Ports.usual({"GATEWAY_PORT": "9081"})):
        demo_shop.create_keys({}, tmp_path / "log", tmp_path, ports)

    assert sorted(words[3] for words in calls) == ["read", "read", "storefront", "storefront"]
    assert all("http://localhost:9080" in words for words in calls[:2])
    assert all("http://localhost:9081" in words for words in calls[2:])
    assert (tmp_path / "keys" / "shop-read").stat().st_mode & 0o077 == 0


def test_the_shop_reads_keys_from_files(environment: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "key").write_text("the key\n")
    environment.setenv("SHOP_READ_KEY_FILE", str(tmp_path / "key"))

    settings = Settings.of_environment()

    assert settings.read_key.get_secret_value() == "the key"
    assert settings.name == "Corner Shop"
