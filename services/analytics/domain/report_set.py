"""All reports of a selection."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

import numpy as np

from services.analytics.domain.co_purchases import (
    co_purchases,
    graph_report,
    metrics_summary,
    pairs_report,
    products_report,
)
from services.analytics.domain.order_lines import OrderLines
from services.analytics.domain.report_rows import Report, sales_by
from services.analytics.domain.selections import folded
from services.analytics.domain.similar_customers import similarity_report

MAIN_CATEGORIES: Final = 30
"""Categories whose reports are computed without being asked for: those with the most revenue. Arbitrary."""

NAMES: Final = "names"
"""The report whose summary has the categories, provinces and cities of the lines, in lower case."""

Reports = dict[str, Report]


def reports_of(lines: OrderLines) -> Reports:
    """Return the reports of lines by name; none without lines."""
    if not len(lines):
        return {}
    return {NAMES: _names_of(lines), **_collaborative(lines.only(lines.bought))}


def main_categories(lines: OrderLines) -> list[str]:
    """Return the names of the categories with the most revenue."""
    bought = lines.only(lines.bought)
    sales = sales_by(bought, bought.categories)
    return [
        lines.directory.categories.texts[sales.groups[number]] for number in sales.by_revenue(MAIN_CATEGORIES)
    ]


def without_customers(reports: Reports, erased: set[str]) -> Reports:
    """Return reports without the rows of these customers."""
    return {
        name: report
        if report.customer_field is None
        else replace(report, rows=[row for row in report.rows if row[report.customer_field] not in erased])
        for name, report in reports.items()
    }


def _names_of(lines: OrderLines) -> Report:
    directory = lines.directory
    columns = {
        "categories": (directory.categories, lines.categories),
        "provinces": (directory.provinces, lines.provinces),
        "cities": (directory.cities, lines.cities),
    }
    return Report(
        summary={
            name: sorted({folded(names.texts[code]) for code in np.unique(codes) if code >= 0})
            for name, (names, codes) in columns.items()
        }
    )


def _collaborative(bought: OrderLines) -> Reports:
    if not len(bought):
        return {}
    together, similar = co_purchases(bought), similarity_report(bought)
    metrics = metrics_summary(bought, together) | dict(similar.summary)
    return {
        "collaborative-products": products_report(bought, together),
        "collaborative-pairs": pairs_report(bought, together),
        "co-purchase-graph": graph_report(bought, together),
        "customer-similarity": similar,
        "collaborative-metrics": Report(summary=metrics),
    }
