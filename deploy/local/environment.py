"""The environment variables of a stack's processes, and those of its clients."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import urlsplit

from deploy.local.address import GatewayAddress
from deploy.local.components import postgres, redis, s3
from deploy.local.ports import LOOPBACK, SERVICES, Ports
from deploy.local.secrets import KAFKA_ADMINISTRATOR, KAFKA_USERS, Secrets

REGION = "us-east-1"

# A stack finds its remaining processes by this variable after its supervisor was killed.
ROOT_VARIABLE = "ENDCAP_STACK_ROOT"

# The variable with the address of each component. A component with a different address is external.
ADDRESS = {
    "kafka": "KAFKA_BOOTSTRAP_SERVERS",
    "postgres": "DATABASE_URL",
    "redis": "REDIS_URL",
    "s3": "AWS_ENDPOINT_URL_S3",
}

# A consumer halts after consecutive bad records of this many tenants. The stack of `make run`, which needs no
# keys, has one tenant; with several tenants, the default of 3 is better.
_HALT_TENANTS = "KAFKA_HALT_TENANTS"

# A session of AWS would sign requests to the S3 server of the stack, which does not know it.
_NOT_INHERITED = {"AWS_SESSION_TOKEN", "AWS_SECURITY_TOKEN", "AWS_PROFILE", "AWS_DEFAULT_PROFILE"}
_CLOUD_CREDENTIALS = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_REGION")


def external_components(ports: Ports, environment: Mapping[str, str]) -> dict[str, str]:
    """Return the addresses of components that the environment sets to other servers than the stack's."""
    own = {name: f"{LOOPBACK}:{ports[name]}" for name in ADDRESS}
    configured = {name: environment.get(variable, "") for name, variable in ADDRESS.items()}
    return {name: address for name, address in configured.items() if address and _host(address) != own[name]}


def addresses(ports: Ports, secrets: Secrets, external: Mapping[str, str]) -> dict[str, str]:
    """Return the addresses of Kafka, Postgres (as administrator), Redis and S3, by their variables."""
    own = {
        "kafka": f"{LOOPBACK}:{ports['kafka']}",
        "postgres": postgres.url(ports, secrets.postgres),
        "redis": redis.url(ports, secrets.redis),
        "s3": s3.url(ports),
    }
    return {variable: external.get(name, own[name]) for name, variable in ADDRESS.items()}


def process_environment(
    ports: Ports, secrets: Secrets, external: Mapping[str, str], *, keyless: bool, root: Path
) -> dict[str, str]:
    """Return the environment of the stack's processes, which includes that of the caller."""
    component_addresses = addresses(ports, secrets, external)
    aws = _aws_variables(secrets, external)
    return {
        **{name: value for name, value in os.environ.items() if _is_inherited(name, external)},
        **component_addresses,
        **aws,
        **({} if "kafka" in external else kafka_login(secrets)),
        **({} if "s3" in external else _s3_accounts(secrets)),
        **_service_variables(
            ports, secrets, component_addresses["DATABASE_URL"], is_external="postgres" in external
        ),
        "AWS_DEFAULT_REGION": aws["AWS_REGION"],
        "AWS_EC2_METADATA_DISABLED": "true",
        "ENDCAP_SECRET_KEY": secrets.secret_key,
        "ENDCAP_SERVICE_KEY": secrets.service_key,
        **({_HALT_TENANTS: os.environ.get(_HALT_TENANTS, "1")} if keyless else {}),
        "ENDCAP_KEYLESS_LOOPBACK": "1" if keyless else "0",
        "HTTP_REPORT_UNKNOWN_PARAMETERS": "1",
        **_urls(ports),
        "AWS_ENDPOINT_URL_PERSONALIZE": _personalize(ports, external),
        "NO_PROXY": ",".join(filter(None, [os.environ.get("NO_PROXY"), LOOPBACK, "localhost"])),
        "PYTHONUNBUFFERED": "1",
        ROOT_VARIABLE: str(root),
    }


def client_environment(
    ports: Ports,
    secrets: Secrets,
    external: Mapping[str, str],
    keys: Mapping[str, str],
    address: GatewayAddress,
) -> dict[str, str]:
    """Return the variables with which curl, boto3, the AWS CLI, psql and redis-cli use the stack."""
    processes = process_environment(ports, secrets, external, keyless=False, root=Path())
    return {
        **address.client_variables,
        **_urls(ports),
        "ENDCAP_INGEST_KEY": keys["ingest"],
        "ENDCAP_READ_KEY": keys["read"],
        "ENDCAP_CATALOGUE_KEY": keys["catalogue"],
        "ENDCAP_ADMIN_KEY": keys["admin"],
        "ENDCAP_TRACKING_ID": keys["tracking_id"],
        "AWS_ENDPOINT_URL_S3": processes["AWS_ENDPOINT_URL_S3"],
        "AWS_ENDPOINT_URL_PERSONALIZE": processes["AWS_ENDPOINT_URL_PERSONALIZE"],
        "AWS_ENDPOINT_URL_PERSONALIZE_EVENTS": _service_url(ports, "tracker"),
        "AWS_ENDPOINT_URL_PERSONALIZE_RUNTIME": _service_url(ports, "router"),
        "AWS_REGION": processes["AWS_REGION"],
        # boto3 reads this name; other SDKs and the AWS CLI read the one above.
        "AWS_DEFAULT_REGION": processes["AWS_REGION"],
        "AWS_ACCESS_KEY_ID": processes["AWS_ACCESS_KEY_ID"],
        "AWS_SECRET_ACCESS_KEY": processes["AWS_SECRET_ACCESS_KEY"],
        "DATABASE_URL": processes["DATABASE_URL"],
        "REDIS_URL": processes["REDIS_URL"],
        **{name: value for name, value in processes.items() if name.startswith("KAFKA_")},
    }


def _is_inherited(name: str, external: Mapping[str, str]) -> bool:
    return "s3" in external or name not in _NOT_INHERITED


def _aws_variables(secrets: Secrets, external: Mapping[str, str]) -> dict[str, str]:
    """Return the key pair and region of clients; those of the caller for an external object store."""
    variables = {
        "AWS_ACCESS_KEY_ID": secrets.aws_access_key_id,
        "AWS_SECRET_ACCESS_KEY": secrets.aws_secret_access_key,
        "AWS_REGION": REGION,
    }
    if "s3" in external:
        variables |= {name: os.environ[name] for name in _CLOUD_CREDENTIALS if name in os.environ}
    return variables


def kafka_login(secrets: Secrets) -> dict[str, str]:
    """Return the variables with which the administrator and each service log in to the stack's Kafka."""
    variables = {
        "KAFKA_SECURITY_PROTOCOL": "SASL_PLAINTEXT",
        "KAFKA_SASL_MECHANISM": "PLAIN",
        "KAFKA_USERNAME": KAFKA_ADMINISTRATOR,
        "KAFKA_PASSWORD": secrets.kafka_users[KAFKA_ADMINISTRATOR],
    }
    for service in KAFKA_USERS:
        variables[f"{service.upper()}_KAFKA_USERNAME"] = service
        variables[f"{service.upper()}_KAFKA_PASSWORD"] = secrets.kafka_users[service]
    return variables


def _s3_accounts(secrets: Secrets) -> dict[str, str]:
    """Return the key pair of each service that uses the stack's object store."""
    variables = {}
    for service, secret in secrets.s3_accounts.items():
        variables[f"{service.upper()}_AWS_ACCESS_KEY_ID"] = s3.account_name(service)
        variables[f"{service.upper()}_AWS_SECRET_ACCESS_KEY"] = secret
    return variables


def role_url(administrator: str, role: str, password: str) -> str:
    """Return the address of the administrator's database for another role."""
    parts = urlsplit(administrator)
    host = parts.netloc.rpartition("@")[2]
    return parts._replace(netloc=f"{role}:{password}@{host}").geturl()


def _service_variables(
    ports: Ports, secrets: Secrets, administrator: str, *, is_external: bool
) -> dict[str, str]:
    """Return each service's database address and port; an external server may have addresses of its own."""
    variables = {}
    for service in SERVICES:
        name = f"{service.upper()}_DATABASE_URL"
        password = secrets.roles[service]
        configured = os.environ.get(name) if is_external else None
        variables[name] = configured or role_url(administrator, service, password)
        variables[f"{service.upper()}_PORT"] = str(ports[service])
    return variables


def _personalize(ports: Ports, external: Mapping[str, str]) -> str:
    """Return the trainer's endpoint: a configured one applies only with an external object store."""
    configured = os.environ.get("AWS_ENDPOINT_URL_PERSONALIZE", "")
    return configured if configured and "s3" in external else _service_url(ports, "engine")


def _urls(ports: Ports) -> dict[str, str]:
    """Return the variable with the URL of each service."""
    return {f"ENDCAP_{service.upper()}_URL": _service_url(ports, service) for service in SERVICES}


def _service_url(ports: Ports, service: str) -> str:
    return f"http://{LOOPBACK}:{ports[service]}"


def _host(address: str) -> str:
    """Return host:port of an address with or without a scheme; localhost is replaced by 127.0.0.1."""
    host = address.rpartition("://")[2].rpartition("@")[2].split("/", maxsplit=1)[0]
    return host.replace("localhost:", f"{LOOPBACK}:")
