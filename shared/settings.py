"""Settings: one block per dependency, which each service composes to its own `Settings`.

The environment is read here and nowhere else. A service's own variable takes precedence: the tracker reads
`TRACKER_DATABASE_URL`, and `DATABASE_URL` if that is not set; the same holds for every block.

See docs/decisions/0002-settings-and-secrets.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, ClassVar, Literal, Self
from urllib.parse import parse_qsl, urlencode, urlsplit

from pydantic import BaseModel, Field, SecretStr, model_validator
from pydantic_settings import (
    BaseSettings,
    EnvSettingsSource,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
)

from shared.masking import MASK, masked


class _Files(EnvSettingsSource):
    """Reads `<NAME>_FILE`, the path of a file with the value, as containers get their secrets."""

    def __call__(self) -> dict[str, Any]:
        """Return the values of these files; raises ValueError if a file can't be read, or both are set."""
        values = {}
        for field in self.settings_cls.model_fields:
            name = f"{self.env_prefix}{field}".upper()
            path = self.env_vars.get(f"{name}_FILE".lower())
            if not path:
                continue
            if self.env_vars.get(name.lower()):
                message = f"{name} and {name}_FILE are both set: leave one of them out"
                raise ValueError(message)
            values[field] = _text_of(f"{name}_FILE", path)
        return values


def _text_of(variable: str, path: str) -> str:
    try:
        return Path(path).read_text().strip()
    except (OSError, UnicodeDecodeError) as error:
        message = f"{variable}={path} can't be read: {error}"
        raise ValueError(message) from error


class Block(BaseSettings):
    """The settings of one dependency, with the variable names that its own tools use.

    Each value may be in a file, whose path is in `<NAME>_FILE`, such as DATABASE_URL_FILE.
    """

    model_config = SettingsConfigDict(extra="ignore", frozen=True, hide_input_in_errors=True)

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003 - there are no .env files
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003 - nor a folder of secrets
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Return the sources by precedence: arguments, variables, files that variables name."""
        prefix = env_settings.env_prefix if isinstance(env_settings, EnvSettingsSource) else None
        return init_settings, env_settings, _Files(settings_cls, env_prefix=prefix)

    @classmethod
    def of(cls, service: str) -> Self:
        """Return the block for `service`: its own variables take precedence over those shared by all."""
        everyone = cls()
        own = cls(_env_prefix=f"{service.upper()}_")
        chosen = {name: getattr(everyone, name) for name in everyone.model_fields_set}
        chosen |= {name: getattr(own, name) for name in own.model_fields_set}
        return cls(**chosen)


class KafkaSettings(Block):
    """Kafka's address. `python -m shared.kafka topics` creates the topics; use does not."""

    kafka_bootstrap_servers: str = Field("127.0.0.1:19092", description="host:port, comma-separated")
    kafka_security_protocol: Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"] = Field(
        "PLAINTEXT", description="PLAINTEXT, SSL, SASL_PLAINTEXT or SASL_SSL"
    )
    kafka_sasl_mechanism: Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] = Field(
        "PLAIN", description="PLAIN, SCRAM-SHA-256 or SCRAM-SHA-512"
    )
    kafka_username: str | None = Field(None, description="SASL user")
    kafka_password: SecretStr | None = Field(None, description="SASL password")
    kafka_ca_file: str | None = Field(None, description="CA certificate of the brokers, for SSL")
    kafka_certificate_file: str | None = Field(
        None, description="client certificate, for brokers that require one"
    )
    kafka_key_file: str | None = Field(None, description="private key of the client certificate")
    kafka_replication_factor: int = Field(1, ge=1, description="of the topics that are created")
    kafka_halt_tenants: int = Field(
        3,
        ge=1,
        description="tenants that must have bad records in a row to halt a consumer; 1 for a single shop",
    )


class PostgresSettings(Block):
    """The address of Postgres, with the role of the service."""

    database_url: str = Field(
        "postgresql://postgres@127.0.0.1:15432/endcap",
        description="postgresql://role:password@host/db",
    )
    database_ssl_mode: Literal["disable", "allow", "prefer", "require", "verify-ca", "verify-full"] | None = (
        Field(
            None, description="sslmode of libpq, unless the address has one; verify-full for other networks"
        )
    )
    database_ca_file: str | None = Field(None, description="CA certificate of Postgres, for verify-full")
    database_pool_size: int = Field(8, ge=1, description="most connections of a process")
    database_request_seconds: float = Field(
        1.5, gt=0, description="seconds that a statement of an HTTP request may take; then it gets a 503"
    )

    @property
    def secured_url(self) -> str:
        """Return the address with the TLS settings as parameters, which those of the address override."""
        parameters = {"sslmode": self.database_ssl_mode, "sslrootcert": self.database_ca_file}
        parts = urlsplit(self.database_url)
        in_address = dict(parse_qsl(parts.query))
        added = {name: value for name, value in parameters.items() if value and name not in in_address}
        query = "&".join(filter(None, (parts.query, urlencode(added))))
        return self.database_url if not added else parts._replace(query=query).geturl()


class RedisSettings(Block):
    """The address of Redis: a server, the master that sentinels name, or a cluster."""

    redis_url: str = Field(
        "redis://127.0.0.1:16379/0",
        description="redis[s]://[user:password@]host:port/db, redis[s]+sentinel://host:port,…/master/db, or "
        "redis[s]+cluster://host:port,…",
    )
    redis_ca_file: str | None = Field(None, description="CA certificate of Redis and sentinels, for TLS")


class S3Settings(Block):
    """The object store: any S3 endpoint. Without endpoint and keys, boto3's own configuration applies."""

    aws_endpoint_url_s3: str | None = Field(None, description="empty for Amazon S3")
    aws_region: str = Field("us-east-1", description="region of the buckets and of ARNs")
    aws_access_key_id: str | None = Field(None, description="empty for boto3's credential chain")
    aws_secret_access_key: SecretStr | None = Field(None, description="belongs to the access key")
    endcap_data_bucket: str = Field("endcap-data", description="what Endcap writes")
    endcap_uploads_bucket: str = Field("endcap-uploads", description="what people upload")


class AuthSettings(Block):
    """Authentication and rate limits. AWS secrets are stored encrypted with the secret key."""

    endcap_secret_key: SecretStr | None = Field(
        None, description="Fernet key (32 bytes, urlsafe base64) that encrypts AWS secrets at rest"
    )
    endcap_service_key: SecretStr | None = Field(
        None, description="key that services use among themselves, created by bootstrap"
    )
    endcap_keyless_loopback: bool = Field(
        False, description="keyless calls from loopback act as tenant `default` (ingest, read)"
    )
    endcap_ingest_calls_per_second: float = Field(
        2_000.0, ge=0, description="calls with events or puts, per key and process; 0 sets no limit"
    )
    endcap_read_calls_per_second: float = Field(
        5_000.0, ge=0, description="calls that read, per key and process; 0 sets no limit"
    )
    endcap_catalogue_calls_per_second: float = Field(
        100.0, ge=0, description="calls that change items or users, per key and process; 0 sets no limit"
    )
    endcap_admin_calls_per_second: float = Field(
        200.0, ge=0, description="calls of the control plane, per key and process; 0 sets no limit"
    )
    endcap_burst_seconds: float = Field(
        5.0, gt=0, description="a key that was idle may make the calls of so many seconds at once"
    )
    endcap_tenant_rate_factor: float = Field(
        4.0, ge=1, description="the limit of all keys of a tenant together, as a multiple of one key's"
    )
    endcap_key_lookup_seconds: float = Field(1.0, gt=0, description="time that reading a key may take")
    endcap_unverified_account: str | None = Field(
        None,
        pattern=r"^\d{12}$",
        description="turns off the verification of AWS signatures: every signed request is of this account",
    )


class HttpSettings(Block):
    """Limits of HTTP in one process; docs/limits.md lists the answer above each limit."""

    http_max_header_bytes: int = Field(32 * 1024, ge=1024, description="request line and headers together")
    http_max_headers: int = Field(100, ge=8, description="headers of a request")
    http_header_seconds: float = Field(
        10.0, gt=0, description="seconds that the headers of a request may take"
    )
    http_body_bytes_per_second: int = Field(4_096, ge=1, description="the least rate of a body")
    http_body_seconds: float = Field(10.0, gt=0, description="seconds that a body may lag behind that rate")
    http_idle_seconds: float = Field(75.0, gt=0, description="seconds that a connection may be idle")
    http_write_seconds: float = Field(
        30.0, gt=0, description="seconds that a client may take without reading its answer"
    )
    http_max_connections: int = Field(
        4_096, ge=1, description="connections of a process; fewer if it has fewer file descriptors"
    )
    http_max_connections_per_client: int = Field(
        2_048, ge=1, description="connections of one client address; a proxy is one address"
    )
    http_max_requests: int = Field(1_000, ge=1, description="concurrent requests of a process")
    http_max_wait_milliseconds: float = Field(
        25.0,
        gt=0,
        description="time that requests may wait for one turn of the process; above it new ones get 429",
    )
    http_max_queue_milliseconds: float = Field(
        50.0, gt=0, description="the same for all requests in progress, while the process has no idle time"
    )
    http_report_unknown_parameters: bool = Field(
        False, description="list query parameters that a route does not read in a header of its answer"
    )
    cors_origins: tuple[str, ...] = Field(
        ("*",),
        description="origins whose pages may read answers of tracker, recommender and router; [] for none",
    )
    http_max_reading_bytes: int = Field(
        64 * 2**20, ge=2**20, description="memory for the large bodies that a process reads at the same time"
    )


class ObservabilitySettings(Block):
    """Logs, metrics and traces."""

    log_level: str = Field("INFO", description="DEBUG, INFO, WARNING or ERROR")
    otel_exporter_otlp_endpoint: str | None = Field(
        None, description="OTLP/HTTP collector; without it no spans are exported"
    )


def service_database_urls() -> list[str]:
    """Return every `<SERVICE>_DATABASE_URL` of the environment or of its file, in the order of names.

    Raises ValueError if a file can't be read.
    """
    urls = {}
    for name, value in sorted(os.environ.items()):
        if name.endswith("_DATABASE_URL"):
            urls[name] = value
        elif name.endswith("_DATABASE_URL_FILE"):
            urls[name.removesuffix("_FILE")] = _text_of(name, value)
    return [urls[name] for name in sorted(urls)]


class ServiceSettings(BaseSettings):
    """The settings of every service. A subclass sets `service` and the prefix `<SERVICE>_`."""

    model_config = SettingsConfigDict(extra="ignore", frozen=True, hide_input_in_errors=True)
    service: ClassVar[str]
    saturated_status: ClassVar[Literal[429, 503]] = 429
    """The status of requests that a saturated process refuses; 503 where clients drop what got a 4xx."""

    host: str = Field("127.0.0.1", description="address to listen on")
    port: int = Field(8000, description="HTTP port; a worker's probes listen on port + 100")
    observability: ObservabilitySettings = Field(default_factory=ObservabilitySettings)
    http: HttpSettings = Field(default_factory=HttpSettings)

    @model_validator(mode="before")
    @classmethod
    def _read_own_http(cls, values: dict[str, Any]) -> dict[str, Any]:
        """Read HTTP settings: `TRACKER_HTTP_IDLE_SECONDS` takes precedence over `HTTP_IDLE_SECONDS`."""
        return {"http": HttpSettings.of(cls.service), **values}

    def described(self) -> dict[str, Any]:
        """Return the effective settings as nested plain values, with every secret masked."""
        return {name: _masked(getattr(self, name)) for name in type(self).model_fields}


def _masked(value: object) -> Any:
    match value:
        case BaseModel():
            return {name: _masked(getattr(value, name)) for name in type(value).model_fields}
        case SecretStr():
            return MASK
        case Path():
            return str(value)
        case str():
            return masked(value)
        case tuple() | list():
            return [_masked(entry) for entry in value]
        case _:
            return value
