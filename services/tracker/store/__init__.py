"""The tracker's tables in Postgres, and what it looks up in views of other services."""

from services.tracker.store.datasets import Datasets
from services.tracker.store.erasures import Erasures
from services.tracker.store.intake_rules import IntakeRulesTable
from services.tracker.store.interactions import AddResult, InteractionLog
from services.tracker.store.quotas import CatalogueQuotas
from services.tracker.store.retention import Retention
from services.tracker.store.tenants import Tenants

__all__ = [
    "AddResult",
    "CatalogueQuotas",
    "Datasets",
    "Erasures",
    "IntakeRulesTable",
    "InteractionLog",
    "Retention",
    "Tenants",
]
