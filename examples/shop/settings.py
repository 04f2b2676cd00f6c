"""The settings of the demo shop, from environment variables that begin with SHOP_."""

from __future__ import annotations

import os
import secrets
from pathlib import Path
from typing import Any, Self

from pydantic import Field, SecretStr, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

KEYS = ("storefront_key", "read_key", "session_key")


class Settings(BaseSettings):
    """The addresses and keys of Endcap, and the place of the shop's own pages."""

    model_config = SettingsConfigDict(env_prefix="SHOP_", extra="ignore")

    host: str = Field("127.0.0.1", description="address to listen on")
    port: int = Field(8020, ge=1, le=65_535, description="port to listen on")
    root_path: str = Field("/shop", description="path below which visitors reach the shop; empty for none")
    endcap_url: str = Field("http://127.0.0.1:8080", description="address of Endcap for the shop's server")
    public_url: str = Field("", description="address of Endcap for browsers; by default that of the page")
    kit_url: str = Field("/kit.js", description="address of the storefront kit for browsers")
    dashboard_url: str = Field(
        "/dashboard/", description="address of the dashboard for links; empty for none"
    )
    storefront_key: SecretStr = Field(
        SecretStr(""), description="storefront key, for events and lists; pages contain it"
    )
    read_key: SecretStr = Field(
        SecretStr(""), description="read key, for the catalogue and customers; it stays in the shop's server"
    )
    session_key: SecretStr = Field(
        default_factory=lambda: SecretStr(secrets.token_urlsafe(32)),
        description="signs the session cookie; without one, sessions end with the process",
    )
    secure_cookies: bool = Field(False, description="send the session cookie over TLS only")
    name: str = Field("Fennel & Field", description="name of the shop")
    ca_file: Path | None = Field(None, description="certificates by which Endcap's TLS is trusted")
    timeout_seconds: float = Field(3.0, gt=0, le=60, description="longest wait for an answer of Endcap")

    @classmethod
    def of_environment(cls) -> Self:
        """Return the settings; a key may be in the file that `SHOP_…_KEY_FILE` names. Raises OSError."""
        files = {name: os.environ.get(f"SHOP_{name.upper()}_FILE") for name in KEYS}
        keys: dict[str, Any] = {
            name: SecretStr(Path(path).read_text().strip()) for name, path in files.items() if path
        }
        return cls(**keys)

    @field_validator("root_path", "endcap_url", "public_url")
    @classmethod
    def _without_slash(cls, value: str) -> str:
        """Return the address or path without a slash at its end."""
        return value.rstrip("/")
