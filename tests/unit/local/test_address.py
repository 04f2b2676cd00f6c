"""The gateway's address as its certificate and the variables decide it."""

from __future__ import annotations

import ssl
from dataclasses import replace
from pathlib import Path

import pytest

from deploy.gateway.settings import GatewaySettings
from deploy.local.address import GatewayAddress, needs_plain_port
from deploy.local.errors import StackError
from deploy.local.ports import Ports
from tests.support.certificates import Certificates, make_certificates

PORTS = Ports.usual({})


def secure(files: Certificates, **settings: object) -> GatewaySettings:
    own = GatewaySettings(certificate=files.certificate, certificate_key=files.key)
    return replace(own, **settings)  # type: ignore[arg-type]


def address(settings: GatewaySettings, folder: Path) -> GatewayAddress:
    return GatewayAddress.of(settings, PORTS, folder)


def test_without_a_certificate_there_is_one_port(tmp_path: Path) -> None:
    plain = address(GatewaySettings(host="0.0.0.0"), tmp_path)

    assert plain.url == plain.plain_url == "http://127.0.0.1:8080"
    assert plain.origins == ["http://127.0.0.1:8080", "http://localhost:8080"]
    assert set(plain.client_variables) == {"ENDCAP_URL", "AWS_ENDPOINT_URL"}
    assert not needs_plain_port(GatewaySettings())


def test_a_gateway_on_another_address_has_a_port_on_loopback(tmp_path: Path) -> None:
    other = address(GatewaySettings(host="10.0.0.5"), tmp_path)

    assert (other.url, other.plain_url) == ("http://10.0.0.5:8080", "http://127.0.0.1:8082")


@pytest.mark.parametrize(
    ("hosts", "host"),
    [
        (["shop.example", "localhost", "127.0.0.1"], "127.0.0.1"),
        (["shop.example", "localhost"], "localhost"),
        (["*.shop.example", "shop.example", "192.0.2.7"], "shop.example"),
        (["192.0.2.7"], "192.0.2.7"),
    ],
)
def test_the_certificate_says_the_host(hosts: list[str], host: str, tmp_path: Path) -> None:
    settings = secure(make_certificates(tmp_path, hosts))

    assert address(settings, tmp_path).url == f"https://{host}:8080"
    assert address(settings, tmp_path).plain_url == "http://127.0.0.1:8082"
    assert address(replace(settings, port=443), tmp_path).url == f"https://{host}"


def test_a_certificate_for_any_host_needs_a_name(tmp_path: Path) -> None:
    settings = secure(make_certificates(tmp_path, ["*.shop.example"]))

    with pytest.raises(StackError, match=r"only \*\.shop\.example.*GATEWAY_NAME"):
        address(settings, tmp_path)
    named = address(replace(settings, name="eu.shop.example"), tmp_path)
    assert named.url == "https://eu.shop.example:8080"
    assert named.origins[0] == named.url


def test_clients_are_told_one_file_with_the_systems_authorities_and_the_gateways(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = make_certificates(tmp_path / "tls", ["localhost"])
    settings = secure(files, authority=files.authority)
    own = address(settings, tmp_path)
    own.write_bundle(settings)
    bundle = str(tmp_path / "ca-bundle.pem")
    written = Path(bundle).read_text()
    monkeypatch.setenv("SSL_CERT_FILE", bundle)  # as in a shell that has evaluated `make env`
    own.write_bundle(settings)
    monkeypatch.delenv("SSL_CERT_FILE")

    assert Path(bundle).read_text() == written
    assert {own.client_variables[name] for name in ("AWS_CA_BUNDLE", "REQUESTS_CA_BUNDLE")} == {bundle}
    trusted = ssl.create_default_context(cafile=bundle).get_ca_certs()
    names = [dict(part[0] for part in each["subject"]).get("commonName") for each in trusted]  # type: ignore[misc]
    assert "Test authority" in names
    assert len(names) > 1
    assert address(secure(files), tmp_path).ca_bundle is None  # somebody whom the system trusts signed it


def test_a_self_signed_certificate_is_its_own_authority(tmp_path: Path) -> None:
    files = make_certificates(tmp_path / "tls", ["localhost"])
    chain = tmp_path / "chain.pem"
    chain.write_text(files.certificate.read_text() + files.authority.read_text())
    own = address(secure(files, certificate=chain), tmp_path)

    assert own.ca_bundle == str(tmp_path / "ca-bundle.pem")


def test_a_file_that_is_no_certificate_is_named(tmp_path: Path) -> None:
    files = make_certificates(tmp_path)

    with pytest.raises(StackError, match=r"server\.key is not a certificate"):
        address(secure(files, certificate=files.key), tmp_path)
