"""Orders by status, those that are not bought included."""

from __future__ import annotations

from typing import Final, Literal

from services.analytics.domain.order_lines import OrderLines
from services.analytics.domain.report_rows import Report, Row, money, sales_by

Outcome = Literal["fulfilled", "lost", "pipeline", "other"]

_OUTCOMES: Final[dict[str, Outcome]] = {
    **dict.fromkeys(("delivered", "completed", "fulfilled", "paid", "shipped"), "fulfilled"),
    **dict.fromkeys(("cancelled", "canceled", "returned", "refund", "refunded", "failed", "voided"), "lost"),
    **dict.fromkeys(
        (
            *("pending", "dispatched", "awaiting assigning", "courier in-process", "processing", "on-hold"),
            *("authorized", "partially_paid", "unfulfilled", "draft"),
        ),
        "pipeline",
    ),
}
"""Outcomes of orders by their status in lower case; others are `other`."""


def statuses_report(lines: OrderLines) -> Report:
    """Return statuses by order source, those with the most orders first; amounts are as ordered."""
    rows: list[Row] = []
    for code, source in enumerate(lines.directory.sources.texts):
        mine = lines.only(lines.sources == code)
        sales = sales_by(mine, mine.statuses + 1)
        for number, group in enumerate(sales.groups.tolist()):
            status = lines.directory.statuses.text(group - 1) or "unknown"
            figures = sales.row(number)
            rows.append(
                {
                    "order_source": source,
                    "status": status,
                    "order_count": figures["total_orders"],
                    "total_revenue": figures["total_revenue"],
                    "avg_order_value": figures["avg_order_value"],
                    "unique_customers": figures["unique_customers"],
                    "category": outcome_of(status),
                }
            )
    rows.sort(key=lambda row: (row["order_source"], -row["order_count"], row["status"]))
    return Report(rows, len(rows))


def outcome_of(status: str) -> Outcome:
    """Return what a status means for an order."""
    return _OUTCOMES.get(status.strip().casefold(), "other")


def of_source(report_rows: list[Row], source: str) -> Row:
    """Return the statuses of an order source, and their sums."""
    rows = [row for row in report_rows if row["order_source"] == source]
    return {
        "total_orders": sum(row["order_count"] for row in rows),
        "total_revenue": money(sum(row["total_revenue"] for row in rows)),
        "statuses": rows,
    }
