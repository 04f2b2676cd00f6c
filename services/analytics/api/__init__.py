"""HTTP: metrics and SQL."""

from services.analytics.api.bodies import AttributionRule
from services.analytics.api.metrics import MetricsRoutes
from services.analytics.api.sql import SqlRoutes

__all__ = ["AttributionRule", "MetricsRoutes", "SqlRoutes"]
