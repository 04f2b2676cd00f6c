"""HTTP: metrics."""

from services.analytics.api.bodies import AttributionRule
from services.analytics.api.metrics import MetricsRoutes

__all__ = ["AttributionRule", "MetricsRoutes"]
