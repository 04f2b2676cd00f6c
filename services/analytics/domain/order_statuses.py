"""Orders by status, and the newest ones, those that are not bought included."""

from __future__ import annotations

import numpy as np

from services.analytics.domain.order_lines import Customer, OrderLines, instant_of
from services.analytics.domain.order_outcomes import outcome_of
from services.analytics.domain.report_rows import MAX_ROWS, Report, Row, money, sales_by


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


def of_source(report_rows: list[Row], source: str) -> Row:
    """Return the statuses of an order source, and their sums."""
    rows = [row for row in report_rows if row["order_source"] == source]
    return {
        "total_orders": sum(row["order_count"] for row in rows),
        "total_revenue": money(sum(row["total_revenue"] for row in rows)),
        "statuses": rows,
    }


def orders_report(lines: OrderLines) -> Report:
    """Return the newest orders, with their amounts as ordered."""
    names = lines.directory
    orders, first, places = np.unique(lines.orders, return_index=True, return_inverse=True)
    amounts, units = np.bincount(places, lines.amounts), np.bincount(places, lines.units)
    rows: list[Row] = []
    for number in np.lexsort((orders, -lines.times[first]))[:MAX_ROWS]:
        line = int(first[number])
        customer = int(lines.customers[line])
        user_id, known = names.customer(customer) if customer >= 0 else (None, Customer())
        rows.append(
            {
                "order_id": names.orders.texts[lines.orders[line]],
                "order_date": instant_of(int(lines.times[line])),
                "order_source": names.sources.text(int(lines.sources[line])),
                "status": names.statuses.text(int(lines.statuses[line])),
                "customer_id": user_id,
                "customer_name": known.name,
                "city": names.cities.text(int(lines.cities[line])),
                "province": names.provinces.text(int(lines.provinces[line])),
                "total_quantity": round(float(units[number]), 6),
                "total_amount": money(float(amounts[number])),
            }
        )
    return Report(rows, len(orders), customer_field="customer_id")
