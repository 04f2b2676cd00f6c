"""The rendered configuration: what runs is routed, and nothing else."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from deploy.gateway.compose import SETTINGS, configuration
from deploy.gateway.configuration import Installation, match, render
from deploy.gateway.routes import AWS_SERVICES, ROUTES, AwsService
from deploy.gateway.settings import GatewaySettings
from deploy.local.components.gateway import copy_kit
from tests.support.processes import ROOT

ALL = {name: f"{name}.internal:80" for name in sorted({route.service for route in ROUTES} | {"s3"})}


def rendered(services: dict[str, str] | None = None, **settings: Any) -> str:
    installation = Installation(ALL if services is None else services, Path("/gateway"))
    return render(installation, GatewaySettings(**settings))


def locations(text: str) -> dict[str, str]:
    """Return the body of each location by its match."""
    return dict(re.findall(r"^ {8}location (.+?) \{\n(.*?)^ {8}\}", text, re.DOTALL | re.MULTILINE))


@pytest.mark.parametrize(
    ("path", "location"),
    [
        ("/v1/runs", "= /v1/runs"),
        ("/v1/runs/*", "/v1/runs/"),
        ("/v1/placements/{name}/preview", "~ ^/v1/placements/[^/]+/preview$"),
    ],
)
def test_a_path_becomes_a_location(path: str, location: str) -> None:
    assert match(path) == location


def test_every_route_of_a_running_service_has_its_location() -> None:
    bodies = locations(rendered())

    for route in ROUTES:
        assert f"proxy_pass http://endcap_{route.service};" in bodies[match(route.path)]


def test_no_route_is_in_the_table_twice() -> None:
    paths = [route.path for route in ROUTES]

    assert len(paths) == len(set(paths))


def test_a_service_that_does_not_run_is_neither_routed_nor_named() -> None:
    text = rendered({name: address for name, address in ALL.items() if name != "shop"})

    assert "/shop/" not in text
    assert "endcap_shop" not in text
    assert "/dashboard/" in text


@pytest.mark.parametrize("service", AWS_SERVICES, ids=lambda service: service.scope)
def test_a_service_of_aws_is_chosen_by_its_name_in_the_signature_and_its_target(service: AwsService) -> None:
    text = rendered()
    answers = service.service or "unserved"

    scoped = '""' if service.scope == "personalize" else answers
    assert f"        {service.scope} {scoped};" in text
    if service.target:
        assert f'        "~^{re.escape(service.target)}" {answers};' in text
    assert f"= /-/{answers}" in locations(text)


def test_an_s3_server_elsewhere_is_not_served() -> None:
    text = rendered({name: address for name, address in ALL.items() if name != "s3"})

    assert "= /-/s3" not in locations(text)


def test_without_limits_there_are_none() -> None:
    text = rendered(requests_per_second=0, connections=0)

    assert "limit_req" not in text
    assert "limit_conn" not in text


def test_without_trusted_proxies_no_header_changes_the_address_of_a_client() -> None:
    assert "real_ip" not in rendered()
    assert "set_real_ip_from 10.0.0.0/8;" in rendered(trusted_proxies=("10.0.0.0/8",))


def test_each_path_that_exists_is_on_a_line_of_its_own() -> None:
    lines = rendered().splitlines()

    for path in {route.path for route in ROUTES}:
        assert sum(line in {f'"{path}"', f'"{path}",'} for line in lines) == 2  # of `/`, and of the 404


def test_prometheus_has_an_address_of_its_own() -> None:
    text = rendered(metrics_host="10.0.0.1", metrics_port=9113)

    assert "listen 10.0.0.1:9113;" in text
    assert "stub_status" not in rendered(metrics_port=0)
    assert "listen 0.0.0.0:8081;" in configuration()


@pytest.mark.parametrize(("version", "listens"), [((1, 22, 1), " ssl http2;"), ((1, 28, 0), " ssl;")])
def test_a_certificate_turns_tls_on(version: tuple[int, ...], listens: str) -> None:
    settings = GatewaySettings(port=8443, certificate=Path("/c.pem"), certificate_key=Path("/k.pem"))
    text = render(Installation(ALL, Path("/gateway"), version=version), settings)

    assert f"listen 127.0.0.1:8443{listens}" in text
    assert ("http2 on;" in text) == (version > (1, 25))
    assert "ssl_certificate_key /k.pem;" in text


def test_the_kit_is_served_from_a_file_where_there_is_one() -> None:
    text = render(Installation(ALL, Path("/gateway"), kit=Path("/gateway/kit.js")), GatewaySettings())

    assert "alias /gateway/kit.js;" in locations(text)["= /kit.js"]
    assert "gzip_static on;" in locations(text)["= /kit.js"]
    assert "/kit.js" not in rendered()


def test_the_kit_is_copied_with_its_compressed_forms(tmp_path: Path) -> None:
    built, folder = tmp_path / "dist", tmp_path / "gateway"
    built.mkdir()
    files = {"kit.js": b"x", "kit.js.gz": b"\x1f\x8b", "kit.0123456789abcdef.js": b"x"}
    files["kit.0123456789abcdef.js.gz"] = files["kit.js.gz"]
    for name, content in files.items():
        (built / name).write_bytes(content)

    assert copy_kit(built / "kit.js", folder, is_root=False) == folder / "kit.js"
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == files


def test_containers_call_the_gateway_without_tls_also_when_clients_have_it() -> None:
    secure = replace(SETTINGS, certificate=Path("/c.pem"), certificate_key=Path("/k.pem"))
    compose = (ROOT / "docker-compose.yml").read_text()

    for text in (configuration(), configuration(secure)):
        assert "listen 0.0.0.0:8082;" in text
    assert "listen 0.0.0.0:8080 ssl;" in configuration(secure)
    assert "SHOP_ENDCAP_URL: http://gateway:8082" in compose
    assert "http://127.0.0.1:8082/healthz" in compose
    assert ":8082:" not in compose  # it is not published


def test_containers_are_looked_up_while_they_run() -> None:
    text = configuration()

    assert "server tracker:8001 resolve;" in text
    assert "listen 0.0.0.0:8080;" in text
    assert text.count(" resolve;") == text.count("        zone endcap_")
