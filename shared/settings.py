"""Settings: one block per dependency, composed by each service into its own `Settings`.

The environment is read here and nowhere else. A service's own variable comes first: the tracker reads
`TRACKER_DATABASE_URL`, and `DATABASE_URL` where that is not set; the same holds for every block.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, ClassVar, Self

from pydantic import BaseModel, Field, SecretStr, model_validator
from pydantic_settings import (
    BaseSettings,
    EnvSettingsSource,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
)

from shared.masking import MASK, masked


class _Files(EnvSettingsSource):
    """Reads `<NAME>_FILE`: the path of a file that holds the value, as containers get their secrets."""

    def __call__(self) -> dict[str, Any]:
        """Return the values of the files that are named; ValueError when one can't be read."""
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
    """The settings of one dependency, named by the variables that its own tools use.

    Each value may lie in a file whose path `<NAME>_FILE` tells, such as DATABASE_URL_FILE.
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
        """Arguments first, then variables, then the files that variables name."""
        prefix = env_settings.env_prefix if isinstance(env_settings, EnvSettingsSource) else None
        return init_settings, env_settings, _Files(settings_cls, env_prefix=prefix)

    @classmethod
    def of(cls, service: str) -> Self:
        """Read the block for `service`: its own variables first, then those shared by all."""
        everyone = cls()
        own = cls(_env_prefix=f"{service.upper()}_")
        chosen = {name: getattr(everyone, name) for name in everyone.model_fields_set}
        chosen |= {name: getattr(own, name) for name in own.model_fields_set}
        return cls(**chosen)


class KafkaSettings(Block):
    """Kafka's address. Topics are made by `python -m shared.kafka topics`, never by use."""

    kafka_bootstrap_servers: str = Field("127.0.0.1:19092", description="host:port, comma-separated")
    kafka_security_protocol: str = Field(
        "PLAINTEXT", description="PLAINTEXT, SSL, SASL_PLAINTEXT or SASL_SSL"
    )
    kafka_sasl_mechanism: str = Field("PLAIN", description="PLAIN, SCRAM-SHA-256 or SCRAM-SHA-512")
    kafka_username: str | None = Field(None, description="SASL user")
    kafka_password: SecretStr | None = Field(None, description="SASL password")
    kafka_ca_file: str | None = Field(None, description="CA certificate of the brokers, for SSL")
    kafka_replication_factor: int = Field(1, ge=1, description="of the topics that are made")
    kafka_halt_tenants: int = Field(
        3,
        ge=1,
        description="so many tenants' bad records in a row halt a consumer; 1 for a single shop",
    )


class PostgresSettings(Block):
    """Postgres's address, with the role of the service that connects."""

    database_url: str = Field(
        "postgresql://postgres@127.0.0.1:15432/endcap",
        description="postgresql://role:password@host/db",
    )
    database_pool_size: int = Field(8, ge=1, description="connections per process at the most")
    database_request_seconds: float = Field(
        1.5, gt=0, description="how long an HTTP request may wait for Postgres at a time; then it gets a 503"
    )


class RedisSettings(Block):
    """Redis's address."""

    redis_url: str = Field("redis://127.0.0.1:16379/0", description="redis[s]://[:password@]host:port/db")


class S3Settings(Block):
    """The object store: any S3 endpoint. Without an endpoint and keys, boto3's own chain applies."""

    aws_endpoint_url_s3: str | None = Field(None, description="empty for Amazon S3")
    aws_region: str = Field("us-east-1", description="region of the buckets and of ARNs")
    aws_access_key_id: str | None = Field(None, description="empty for boto3's credential chain")
    aws_secret_access_key: SecretStr | None = Field(None, description="belongs to the access key")
    endcap_data_bucket: str = Field("endcap-data", description="what Endcap writes")
    endcap_uploads_bucket: str = Field("endcap-uploads", description="what people upload")


class AuthSettings(Block):
    """Who may call. API keys are stored as hashes, AWS secrets encrypted with the secret key."""

    endcap_secret_key: SecretStr | None = Field(
        None, description="Fernet key (32 bytes, urlsafe base64) that encrypts AWS secrets at rest"
    )
    endcap_service_key: SecretStr | None = Field(
        None, description="key that services use between each other, made by bootstrap"
    )
    endcap_keyless_loopback: bool = Field(
        False, description="keyless calls from loopback act as tenant `default` (ingest, read)"
    )
    endcap_ingest_calls_per_second: float = Field(
        2_000.0, ge=0, description="calls with events, or puts, of one key and process; 0: no limit"
    )
    endcap_read_calls_per_second: float = Field(
        5_000.0, ge=0, description="calls that read of one key and process; 0 sets no limit"
    )
    endcap_catalogue_calls_per_second: float = Field(
        100.0, ge=0, description="calls that change items or users of one key and process; 0 sets no limit"
    )
    endcap_admin_calls_per_second: float = Field(
        200.0, ge=0, description="calls of the control plane of one key and process; 0 sets no limit"
    )
    endcap_burst_seconds: float = Field(
        5.0, gt=0, description="how many seconds' worth of calls a key that was idle may make at once"
    )
    endcap_tenant_rate_factor: float = Field(
        4.0, ge=1, description="all keys of a tenant together may make so many times the calls of one"
    )
    endcap_unverified_account: str | None = Field(
        None,
        pattern=r"^\d{12}$",
        description="turns the check of AWS signatures off: whoever signs, with any key, is this account",
    )


class HttpSettings(Block):
    """Limits of HTTP in one process; docs/limits.md says what a client gets beyond each."""

    http_max_header_bytes: int = Field(32 * 1024, ge=1024, description="request line and headers together")
    http_max_headers: int = Field(100, ge=8, description="headers of a request")
    http_header_seconds: float = Field(10.0, gt=0, description="how long the headers of a request may take")
    http_body_bytes_per_second: int = Field(4_096, ge=1, description="the least rate at which a body comes")
    http_body_seconds: float = Field(10.0, gt=0, description="how far a body may be behind that rate")
    http_idle_seconds: float = Field(75.0, gt=0, description="how long a connection may wait for a request")
    http_write_seconds: float = Field(
        30.0, gt=0, description="how long a client may read nothing of its answer"
    )
    http_max_connections: int = Field(
        4_096, ge=1, description="connections of a process; less where it has fewer file descriptors"
    )
    http_max_connections_per_client: int = Field(
        2_048, ge=1, description="connections of one address; a proxy is one address"
    )
    http_max_requests: int = Field(1_000, ge=1, description="requests that a process works on at once")
    http_report_unknown_parameters: bool = Field(
        False, description="name query parameters that a route does not read in a header of its answer"
    )
    cors_origins: tuple[str, ...] = Field(
        ("*",),
        description="origins whose pages may read answers of tracker, recommender and router; [] for none",
    )
    http_max_reading_bytes: int = Field(
        64 * 2**20, ge=2**20, description="large bodies that a process reads at once, together"
    )


class ObservabilitySettings(Block):
    """Logs, metrics and traces."""

    log_level: str = Field("INFO", description="DEBUG, INFO, WARNING or ERROR")
    otel_exporter_otlp_endpoint: str | None = Field(
        None, description="OTLP/HTTP collector; without it no spans are exported"
    )


def service_database_urls() -> list[str]:
    """Every `<SERVICE>_DATABASE_URL` of the environment, or its file's, in the order of their names."""
    urls = {}
    for name, value in sorted(os.environ.items()):
        if name.endswith("_DATABASE_URL"):
            urls[name] = value
        elif name.endswith("_DATABASE_URL_FILE"):
            urls[name.removesuffix("_FILE")] = _text_of(name, value)
    return [urls[name] for name in sorted(urls)]


class ServiceSettings(BaseSettings):
    """What every service has. A subclass sets `service` and the prefix `<SERVICE>_`."""

    model_config = SettingsConfigDict(extra="ignore", frozen=True, hide_input_in_errors=True)
    service: ClassVar[str]

    host: str = Field("127.0.0.1", description="address to listen on")
    port: int = Field(8000, description="HTTP port; a worker's probes listen on port + 100")
    observability: ObservabilitySettings = Field(default_factory=ObservabilitySettings)
    http: HttpSettings = Field(default_factory=HttpSettings)

    @model_validator(mode="before")
    @classmethod
    def _read_own_http(cls, values: dict[str, Any]) -> dict[str, Any]:
        """`TRACKER_HTTP_IDLE_SECONDS` comes before `HTTP_IDLE_SECONDS`."""
        return {"http": HttpSettings.of(cls.service), **values}

    def described(self) -> dict[str, Any]:
        """The effective settings as nested plain values, with every secret masked."""
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
            return [_masked(each) for each in value]
        case _:
            return value
