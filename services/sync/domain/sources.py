"""The sources of a tenant: programs that send orders, items and users, or that are asked for them."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self, TypeAlias

from pydantic import Field, TypeAdapter, model_validator

from services.sync.domain.pulls.configs import Bucket, Erp, Folder, PullConfig, Query, Rest, ShopifyApi
from services.sync.domain.source_model import Model, Secrets
from services.sync.domain.webhooks.generic import Mapped
from services.sync.domain.webhooks.options import VendorOptions
from services.sync.domain.webhooks.signatures import Algorithm, Encoding
from shared.events.values import Text


class SignatureRule(Model):
    """The header with the HMAC of the raw body."""

    header: Text = Field("x-signature", min_length=1, max_length=100)
    encoding: Encoding = "hex"
    algorithm: Algorithm = "sha256"
    prefix: Text = Field("", max_length=40, description="before the signature in the header, such as sha256=")


class Webhook(Model):
    """Deliveries that a shop system posts to `/v1/webhooks/{id}`."""

    kind: Literal["webhook"] = "webhook"
    format: Literal["shopify", "woocommerce", "saleor", "generic"]
    options: VendorOptions = VendorOptions()
    jwks: tuple[dict[str, Any], ...] = Field(
        (),
        max_length=20,
        description="saleor: keys of the shop's /.well-known/jwks.json, for a shop without a secret",
    )
    signature: SignatureRule = Field(SignatureRule(), description="generic: how bodies are signed")
    topic_header: Text | None = Field(None, max_length=100, description="generic: the header with the topic")
    id_header: Text | None = Field(
        None, max_length=100, description="generic: the header with an id that a repeated delivery repeats"
    )
    mappings: tuple[Mapped, ...] = Field((), max_length=20, description="generic: where bodies say what")

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.format == "generic" and not self.mappings:
            message = "a generic webhook needs mappings: they say where a body has orders, items or users"
            raise ValueError(message)
        return self

    def missing_secret(self, secrets: Secrets) -> str | None:
        """Return a sentence if the secret that verifies deliveries is missing, else None."""
        if "secret" in secrets or (self.format == "saleor" and self.jwks):
            return None
        return "The source needs secrets.secret, by which it verifies the signatures of deliveries."

    def keys(self, secrets: Secrets) -> list[str]:
        """Return the secrets that may sign deliveries: the present one, and the previous one for a while."""
        return [secrets[name] for name in ("secret", "previous_secret") if name in secrets]


Config: TypeAlias = Annotated[
    Webhook | Erp | Rest | ShopifyApi | Query | Bucket | Folder, Field(discriminator="kind")
]

_CONFIG: TypeAdapter[Webhook | PullConfig] = TypeAdapter(Config)


def parse_config(config: dict[str, Any]) -> Webhook | PullConfig:
    """Return a stored configuration."""
    return _CONFIG.validate_python(config)
