"""The first tenant, and the scopes of the keys that commands create."""

from __future__ import annotations

from shared.auth import SCOPES, Scope

TENANT = "default"
TENANT_SCOPES: dict[Scope, tuple[str, ...]] = {
    "ingest": ("ingest",),
    "read": ("read",),
    "catalogue": ("ingest", "catalogue"),
    "admin": ("ingest", "read", "catalogue", "admin"),
}
"""The scopes of a tenant's API keys. An `ingest` key is public, because the pages of the shop contain it."""

SERVICE_SCOPES = SCOPES
TRAINER_SCOPES = ("catalogue", "admin")
"""The scopes of the trainer, which imports items and users, trains solutions and starts batch jobs."""
