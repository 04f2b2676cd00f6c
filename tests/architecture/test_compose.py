"""What each container of Compose may do: its secrets, rights, memory and ports, and nothing beyond."""

from __future__ import annotations

import os
import re
import stat
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
import yaml

from deploy.compose.secret_files import write_secrets
from deploy.local.components.s3 import account_name
from deploy.local.ports import SERVICES
from deploy.local.product import WORKERS
from services.engine.commands.buckets import account_services
from shared.events.topics import TOPICS
from tests.architecture.source import ROOT

COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
CONTAINERS: dict[str, dict[str, Any]] = COMPOSE["services"]

# The secrets of each container. Those of a service's own are written without its name.
OF_SERVICES = {
    "tracker": "database_url kafka_password secret_key",
    "tracker-worker": "database_url kafka_password",
    "sync": "database_url s3_secret secret_key",
    "sync-worker": "database_url kafka_password s3_secret",
    "sync-relay": "database_url kafka_password",
    "trainer": "database_url secret_key service_key",
    "trainer-worker": "database_url kafka_password s3_secret service_key",
    "loader": "database_url redis_url secret_key",
    "loader-worker": "database_url redis_url kafka_password s3_secret",
    "recommender": "database_url redis_url kafka_password s3_secret secret_key service_key",
    "recommender-worker": "database_url redis_url kafka_password",
    "router": "database_url secret_key service_key",
    "router-worker": "database_url kafka_password",
    "analytics": "database_url s3_secret secret_key",
    "analytics-worker": "database_url kafka_password s3_secret",
    "engine": "database_url kafka_password secret_key",
    "engine-worker": "database_url kafka_password s3_secret secret_key",
    "dashboard": "database_url secret_key service_key",
}
SHARED = {"redis_url", "secret_key", "service_key"}
OF_OTHERS = {
    "prepare-volumes": set(),
    "gateway": set(),
    "shop": set(),
    "prometheus": set(),
    "alertmanager": set(),
    "grafana": set(),
    "shop-keys": {"engine_database_url"},
    "kafka": {"kafka.properties"},
    "postgres": {"postgres_password"},
    "redis": {"redis.conf"},
    "s3": {"s3_root_secret", "s3_accounts.json"},
    "roles": {"postgres_administrator_url", *(f"{service}_database_url" for service in SERVICES)},
    "topics": {"kafka_administrator_password"},
    **{name: {"postgres_administrator_url"} for name in CONTAINERS if name.startswith("migrate-")},
    "bootstrap": {
        "engine_database_url",
        "secret_key",
        "service_key",
        "clients_key_id",
        "clients_secret",
        "engine_s3_secret",
        "trainer_s3_secret",
    },
}

CAPABILITIES = {"prepare-volumes": ["CHOWN", "DAC_READ_SEARCH"]}
MONITORING = {"prometheus", "alertmanager", "grafana"}
PUBLISHED = {
    *("gateway", "tracker", "sync", "trainer", "loader", "router", "engine", "analytics", "dashboard"),
    *("prometheus", "grafana"),
}


def expected(container: str) -> set[str]:
    """The secrets that a container needs."""
    if container in OF_OTHERS:
        return OF_OTHERS[container]
    service = container.partition("-")[0]
    return {name if name in SHARED else f"{service}_{name}" for name in OF_SERVICES[container].split()}


def mounted(container: dict[str, Any]) -> set[str]:
    """The secrets that a container has."""
    return {
        secret["source"] if isinstance(secret, dict) else secret for secret in container.get("secrets", [])
    }


@pytest.mark.parametrize("name", CONTAINERS)
def test_a_container_has_the_secrets_that_it_needs_and_uses_each(name: str) -> None:
    container = CONTAINERS[name]
    secrets = mounted(container)

    assert secrets == expected(name)
    for secret in secrets - {"s3_accounts.json"}:
        assert f"/run/secrets/{secret}" in str(container), secret


def test_no_secret_is_in_two_services_but_those_that_the_table_shares() -> None:
    holders: dict[str, set[str]] = {}
    for name in OF_SERVICES:
        for secret in mounted(CONTAINERS[name]):
            holders.setdefault(secret, set()).add(name.partition("-")[0])

    several = {secret: services for secret, services in holders.items() if len(services) > 1}

    assert several == {
        "redis_url": {"loader", "recommender"},  # one writes what the other serves
        "secret_key": {*SERVICES},  # whoever answers checks AWS signatures
        # The router calls the recommender with it, the trainer the engine, and the dashboard every service.
        "service_key": {"recommender", "router", "trainer", "dashboard"},
    }


@pytest.mark.parametrize("service", SERVICES)
def test_whoever_answers_can_check_aws_signatures(service: str) -> None:
    """Without the secret key a signed call is a 503. Of the workers, only the engine's decrypts anything."""
    assert "secret_key" in mounted(CONTAINERS[service])
    if service in WORKERS and service != "engine":
        assert "secret_key" not in mounted(CONTAINERS[f"{service}-worker"])


def test_the_only_shop_may_halt_a_consumer() -> None:
    """Compose and `make run` make one tenant, so bad records of several in a row will never come."""
    consuming = {
        name: container["environment"]["KAFKA_HALT_TENANTS"]
        for name, container in CONTAINERS.items()
        if "KAFKA_USERNAME" in container.get("environment", {})
    }

    assert set(consuming.values()) == {"${KAFKA_HALT_TENANTS:-1}"}


@pytest.mark.parametrize("name", CONTAINERS)
def test_no_variable_of_a_container_is_a_secret(name: str) -> None:
    variables = CONTAINERS[name].get("environment", {})

    assert isinstance(variables, dict)
    secret = re.compile(r"(PASSWORD|SECRET|_KEY|DATABASE_URL|REDIS_URL|ADMIN)(_FILE)?$")
    for variable, value in variables.items():
        if secret.search(variable) and not variable.endswith("AWS_ACCESS_KEY_ID"):
            assert variable.endswith("_FILE"), variable
            assert str(value).startswith("/run/secrets/"), variable
    assert "://" not in str(variables).replace("http://", ""), "an address with a password is a secret"


@pytest.mark.parametrize("name", CONTAINERS)
def test_a_container_has_no_right_that_it_does_not_need(name: str) -> None:
    container = CONTAINERS[name]

    assert container["cap_drop"] == ["ALL"]
    assert container.get("cap_add", []) == CAPABILITIES.get(name, [])
    assert container["security_opt"] == ["no-new-privileges:true"]
    assert container["read_only"] is True
    assert "mem_limit" in container
    assert not {"privileged", "network_mode", "pid", "ipc", "devices", "userns_mode"} & container.keys()
    if name != "prepare-volumes" and not str(container["image"]).startswith("endcap-"):
        assert container["user"] not in {"root", "0", "0:0"}
    elif name != "prepare-volumes":
        assert "user" not in container


def test_counters_of_answers_outlive_the_container() -> None:
    container = CONTAINERS["recommender"]
    folder = container["environment"]["RECOMMENDER_STATE_FOLDER"]

    assert f"recommender-state:{folder}" in container["volumes"]
    assert "/recommender-state" in CONTAINERS["prepare-volumes"]["entrypoint"]
    assert "recommender-state" in COMPOSE["volumes"]


def test_our_images_run_as_nobody() -> None:
    assert "\nUSER 65534:65534\n" in (ROOT / "deploy" / "Dockerfile").read_text()


def test_only_what_clients_and_people_call_is_published_and_only_on_this_machine() -> None:
    published = {name: container["ports"] for name, container in CONTAINERS.items() if "ports" in container}

    assert published.keys() == PUBLISHED
    for ports in published.values():
        for port in ports:
            assert re.fullmatch(r"\$\{ENDCAP_BIND:-127\.0\.0\.1\}:(\d+):\1", port), port


def test_monitoring_is_started_on_request_alone() -> None:
    assert {name for name, container in CONTAINERS.items() if "profiles" in container} == MONITORING
    assert all(CONTAINERS[name]["profiles"] == ["monitoring"] for name in MONITORING)


def test_each_secret_has_a_file_and_each_file_a_container(tmp_path: Path) -> None:
    files = write_secrets(tmp_path)

    assert COMPOSE["secrets"].keys() == files.keys()
    assert set().union(*map(mounted, CONTAINERS.values())) == files.keys()
    for name, secret in COMPOSE["secrets"].items():
        assert secret == {"file": "${ENDCAP_SECRETS:-./deploy/compose/secrets}/" + name}


def test_secrets_are_made_once_and_only_their_owner_gets_at_them(tmp_path: Path) -> None:
    folder = tmp_path / "secrets"
    first = write_secrets(folder)
    (folder / "redis_url").unlink()

    again = write_secrets(folder)

    assert again == first
    assert (folder / "redis_url").read_text() == first["redis_url"]
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    passwords = [text for name, text in first.items() if re.search(r"(password|secret|key)$", name)]
    assert len(set(passwords)) == len(passwords)
    assert min(map(len, passwords)) >= 32


def test_services_sign_as_the_accounts_that_are_made() -> None:
    for name, container in CONTAINERS.items():
        for variable, value in container.get("environment", {}).items():
            if variable.endswith("AWS_ACCESS_KEY_ID"):
                service = variable.removesuffix("AWS_ACCESS_KEY_ID").rstrip("_").lower()
                assert value == account_name(service or name.partition("-")[0])
    named = CONTAINERS["bootstrap"]["environment"]
    assert {f"{service.upper()}_AWS_ACCESS_KEY_ID" for service in account_services()} <= named.keys()


def test_services_log_in_to_kafka_as_themselves() -> None:
    """A user may do what the registry says of the service of the same name."""
    users = {
        name: container["environment"]["KAFKA_USERNAME"]
        for name, container in CONTAINERS.items()
        if "KAFKA_USERNAME" in container.get("environment", {})
    }
    parties = set().union(*(topic.producers | topic.consumers | topic.readers for topic in TOPICS))

    assert users.pop("topics") == "admin"
    assert all(user == name.partition("-")[0] for name, user in users.items())
    assert set(users.values()) == parties


@pytest.mark.parametrize("name", OF_SERVICES)
def test_a_service_finds_its_secrets_by_the_variables_of_its_container(
    name: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    files, service, needed = write_secrets(tmp_path), name.partition("-")[0], OF_SERVICES[name].split()
    for variable in [*os.environ]:
        if re.search(r"DATABASE_URL|REDIS_URL|KAFKA_|AWS_|ENDCAP_", variable):
            monkeypatch.delenv(variable)
    for variable, value in CONTAINERS[name]["environment"].items():
        default = re.sub(r"\$\{\w+:-(.*)\}", r"\1", str(value))
        monkeypatch.setenv(variable, default.replace("/run/secrets", str(tmp_path)))

    settings = import_module(f"services.{service}.settings").Settings()

    assert settings.host == "0.0.0.0"
    assert settings.postgres.database_url == files[f"{service}_database_url"]
    if "kafka_password" in needed:
        assert settings.kafka.kafka_username == service
        assert settings.kafka.kafka_password.get_secret_value() == files[f"{service}_kafka_password"]
    if "redis_url" in needed:
        assert settings.redis.redis_url == files["redis_url"]
    if "s3_secret" in needed:
        assert settings.s3.aws_access_key_id == account_name(service)
        assert settings.s3.aws_secret_access_key.get_secret_value() == files[f"{service}_s3_secret"]
    for key in SHARED - {"redis_url"}:
        held = getattr(settings.auth, f"endcap_{key}")
        assert (held.get_secret_value() if held else None) == (files[key] if key in needed else None)
