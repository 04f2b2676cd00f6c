"""Facts and figures in Postgres; writing a fact again changes nothing."""

from services.analytics.store.audit import Audit, Difference
from services.analytics.store.counting import Counting
from services.analytics.store.erasures import Erasures
from services.analytics.store.lake import Lake
from services.analytics.store.lake_check import LakeCheck
from services.analytics.store.lake_maintenance import LakeMaintenance
from services.analytics.store.lake_writer import LakeWriter
from services.analytics.store.order_reports import OrderReports, StoredReport
from services.analytics.store.queries import QueryRunner
from services.analytics.store.query_executions import QueryExecutions
from services.analytics.store.query_executor import QueryExecutor
from services.analytics.store.reports import Reports
from services.analytics.store.retention import Retention

__all__ = [
    "Audit",
    "Counting",
    "Difference",
    "Erasures",
    "Lake",
    "LakeCheck",
    "LakeMaintenance",
    "LakeWriter",
    "OrderReports",
    "QueryExecutions",
    "QueryExecutor",
    "QueryRunner",
    "Reports",
    "Retention",
    "StoredReport",
]
