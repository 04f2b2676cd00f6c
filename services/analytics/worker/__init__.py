"""Work that takes longer than a request: the computation of reports."""

from services.analytics.worker.report_computation import ReportComputation

__all__ = ["ReportComputation"]
