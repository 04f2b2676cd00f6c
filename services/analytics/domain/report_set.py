"""All reports of a selection."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import date
from typing import Final

import numpy as np

from services.analytics.domain import sales
from services.analytics.domain.co_purchase_prediction import prediction_summary
from services.analytics.domain.co_purchases import (
    co_purchases,
    graph_report,
    metrics_summary,
    pairs_report,
    products_report,
)
from services.analytics.domain.customer_classes import (
    SPENT,
    class_reports,
    cohorts_report,
    custom_classes_report,
    customers_of,
)
from services.analytics.domain.order_lines import OrderLines
from services.analytics.domain.order_statuses import orders_report, statuses_report
from services.analytics.domain.report_rows import Report, sales_by
from services.analytics.domain.sales_trends import INTERVALS, trend_report
from services.analytics.domain.selections import DEFAULT_THRESHOLDS, Thresholds, folded
from services.analytics.domain.similar_customers import similarity_report

MAIN_CATEGORIES: Final = 30
"""Categories whose reports are computed without being asked for: those with the most revenue. Arbitrary."""

NAMES: Final = "names"
"""The report whose summary has the categories, provinces and cities of the lines, in lower case."""

Reports = dict[str, Report]


@dataclass(frozen=True, slots=True)
class ReportRules:
    """The choices of a shop: limits of the value scores, and regions of provinces in lower case."""

    spent: tuple[float, ...] = SPENT
    regions: dict[str, str] = field(default_factory=dict)


DEFAULT_RULES: Final = ReportRules()


def reports_of(
    lines: OrderLines,
    today: date,
    thresholds: Thresholds = DEFAULT_THRESHOLDS,
    rules: ReportRules = DEFAULT_RULES,
) -> Reports:
    """Return the reports of lines by name; none without lines. Recency is counted up to a day."""
    if not len(lines):
        return {}
    reports = {NAMES: _names_of(lines), "statuses": statuses_report(lines), "orders": orders_report(lines)}
    bought = lines.only(lines.bought)
    if not len(bought):
        return reports
    return (
        reports
        | _collaborative(bought)
        | _sales(bought, rules)
        | _customers(bought, today, thresholds, rules)
    )


def main_categories(lines: OrderLines) -> list[str]:
    """Return the names of the categories with the most revenue."""
    bought = lines.only(lines.bought)
    by_category = sales_by(bought, bought.categories)
    texts = lines.directory.categories.texts
    return [texts[by_category.groups[number]] for number in by_category.by_revenue(MAIN_CATEGORIES)]


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
    together, similar = co_purchases(bought), similarity_report(bought)
    metrics = metrics_summary(bought, together) | prediction_summary(bought) | dict(similar.summary)
    return {
        "collaborative-products": products_report(bought, together),
        "collaborative-pairs": pairs_report(bought, together),
        "co-purchase-graph": graph_report(bought, together),
        "customer-similarity": similar,
        "collaborative-metrics": Report(summary=metrics),
    }


def _sales(bought: OrderLines, rules: ReportRules) -> Reports:
    products = sales.products_report(bought)
    return {
        "totals": Report(summary=sales.totals_summary(bought, products)),
        "products": products,
        "popular": sales.popular_report(bought),
        "categories": sales.categories_report(bought),
        "brands": sales.brands_report(bought),
        "provinces": sales.provinces_report(bought, rules.regions),
        "cities": sales.cities_report(bought, rules.regions),
        "category-provinces": sales.category_provinces_report(bought),
        "sources": sales.sources_report(bought),
        "imports": sales.imports_report(bought),
        **{f"trend:{interval}": trend_report(bought, interval) for interval in INTERVALS},
    }


def _customers(bought: OrderLines, today: date, thresholds: Thresholds, rules: ReportRules) -> Reports:
    customers = customers_of(bought, today)
    return {
        **class_reports(bought, customers, rules.spent),
        "segments-custom": custom_classes_report(customers, thresholds),
        "cohorts": cohorts_report(bought),
    }
