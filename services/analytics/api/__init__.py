"""HTTP: metrics, SQL and reports."""

from services.analytics.api.bodies import AttributionRule
from services.analytics.api.collaborative import CollaborativeRoutes
from services.analytics.api.logins import LoginRoutes
from services.analytics.api.metrics import MetricsRoutes
from services.analytics.api.report_files import ReportFileRoutes
from services.analytics.api.report_reader import ReportReader
from services.analytics.api.shop_reports import ShopReportRoutes
from services.analytics.api.sql import SqlRoutes

__all__ = [
    "AttributionRule",
    "CollaborativeRoutes",
    "LoginRoutes",
    "MetricsRoutes",
    "ReportFileRoutes",
    "ReportReader",
    "ShopReportRoutes",
    "SqlRoutes",
]
