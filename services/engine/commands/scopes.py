"""The first tenant, and the scopes of the keys of services."""

from __future__ import annotations

TENANT = "default"

SERVICE_SCOPES = ("ingest", "read", "catalogue", "admin", "service")
TRAINER_SCOPES = ("catalogue", "admin")
"""The scopes of the trainer, which imports items and users, trains solutions and starts batch jobs."""
