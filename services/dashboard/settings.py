"""The dashboard's settings."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

from pydantic import Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict

from services.dashboard.domain.roles import Role
from shared.settings import AuthSettings, Block, PostgresSettings, ServiceSettings

PROCESSES: dict[str, tuple[str, ...]] = {
    "tracker": ("serve", "worker"),
    "sync": ("serve", "worker", "relay"),
    "trainer": ("serve", "worker"),
    "loader": ("serve", "worker"),
    "recommender": ("serve", "worker"),
    "router": ("serve", "worker"),
    "engine": ("serve", "worker"),
    "analytics": ("serve", "worker"),
}
"""The services that the dashboard shows, and the processes of each."""


class ServiceAddresses(BaseSettings):
    """The addresses of the services whose public APIs the dashboard calls."""

    model_config = SettingsConfigDict(extra="ignore", frozen=True)

    endcap_tracker_url: str = Field("http://127.0.0.1:8001", description="URL of the tracker")
    endcap_sync_url: str = Field("http://127.0.0.1:8002", description="URL of sync")
    endcap_trainer_url: str = Field("http://127.0.0.1:8003", description="URL of the trainer")
    endcap_loader_url: str = Field("http://127.0.0.1:8004", description="URL of the loader")
    endcap_recommender_url: str = Field("http://127.0.0.1:8005", description="URL of the recommender")
    endcap_router_url: str = Field("http://127.0.0.1:8006", description="URL of the router")
    endcap_engine_url: str = Field("http://127.0.0.1:8007", description="URL of the engine")
    endcap_analytics_url: str = Field("http://127.0.0.1:8008", description="URL of analytics")

    def of(self, service: str) -> str:
        """Return the URL of a service, without a slash at its end."""
        return str(getattr(self, f"endcap_{service}_url")).rstrip("/")


class OidcSettings(Block):
    """An OpenID Connect provider at which people sign in."""

    model_config = SettingsConfigDict(env_prefix="DASHBOARD_OIDC_")

    issuer: str | None = Field(
        None,
        pattern=r"^https?://[^?#]+$",
        description="issuer of the OpenID Connect provider, as in its metadata; without it people sign in "
        "with keys alone",
    )
    client_id: str = Field("endcap-dashboard", min_length=1, description="the client at the provider")
    client_secret: SecretStr | None = Field(None, description="its secret; a public client has none")
    title: str = Field("single sign-on", min_length=1, description="the provider on the button of the page")
    role_claim: str = Field(
        "groups", min_length=1, description="claim of the ID token with the values for roles; may be a.b"
    )
    roles: dict[str, Role] = Field(
        default_factory=dict,
        description='role by value of the claim, such as {"staff": "viewer"}; * stands for everybody',
    )
    tenant: str = Field("default", min_length=1, description="the tenant of the people")
    return_after_sign_out: bool = Field(
        False,
        description="after a sign-out the provider leads back to the page /sign-in, whose address must be "
        "registered there",
    )


class Settings(ServiceSettings):
    """Addresses, sessions and time limits of the dashboard."""

    model_config = SettingsConfigDict(env_prefix="DASHBOARD_", extra="ignore", frozen=True)
    service: ClassVar[str] = "dashboard"

    port: int = Field(8010, description="HTTP port")
    root_path: str = Field(
        "/dashboard", pattern=r"^(/[a-z0-9-]+)+$", description="the path that all pages begin with"
    )
    public_url: str | None = Field(
        None,
        pattern=r"^https?://[^/]+$",
        description="scheme and host by which browsers reach the dashboard, such as https://shop.example; "
        "by default those of the request",
    )
    assets: Path = Field(
        Path(__file__).parent / "node_modules", description="folder with the packages of package-lock.json"
    )
    services: ServiceAddresses = Field(default_factory=ServiceAddresses)
    oidc: OidcSettings = Field(default_factory=OidcSettings)
    probe_url: str | None = Field(
        None,
        description="address of the probes of a process, with {process} and {port}; by default the host of "
        "its service",
    )
    prometheus_url: str | None = Field(None, description="Prometheus, for the alerts on the page System")
    call_seconds: float = Field(4.0, gt=0, description="time limit of a call to another service")
    session_hours: float = Field(12.0, gt=0, description="hours after which a session ends in any case")
    session_idle_hours: float = Field(2.0, gt=0, description="hours without a request that end a session")
    sign_ins_per_minute: float = Field(
        10.0, gt=0, description="attempts to sign in from one address; all addresses together: 20 times that"
    )
    audit_days: int = Field(400, ge=1, description="days that entries of the audit log are kept")
    postgres: PostgresSettings = Field(default_factory=lambda: PostgresSettings.of("dashboard"))
    auth: AuthSettings = Field(default_factory=lambda: AuthSettings.of("dashboard"))
