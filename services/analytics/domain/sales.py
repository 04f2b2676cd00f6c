"""Sales by product, category, brand, place and order source."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from services.analytics.domain.order_lines import OrderLines, instant_of
from services.analytics.domain.report_rows import (
    MAX_ROWS,
    Report,
    Row,
    Sales,
    distinct_by,
    money,
    sales_by,
    share,
)

UNKNOWN: Final = "Unknown"
"""The name of what has none: a category, brand or place that no order tells."""

TOP_PRODUCTS: Final = 5


def totals_summary(lines: OrderLines, products: Report) -> Row:
    """Return the figures of all lines, new customers among them: those whose first order is here.

    `products` is the report of their products.
    """
    sales = sales_by(lines, np.zeros(len(lines), np.int64))
    figures = sales.row(0)
    customers, first = _first_times(lines)
    new = int((first == lines.directory.first_order_times[customers]).sum())
    return {
        **figures,
        "total_customers": figures["unique_customers"],
        "total_products": products.total,
        "top_selling_product": products.rows[0]["product_name"],
        "new_customers": new,
        "returning_customers": len(customers) - new,
    }


def products_report(lines: OrderLines) -> Report:
    """Return products, the one with the most revenue first."""
    sales = sales_by(lines, lines.items)
    return Report(_product_rows(lines, sales, sales.by_revenue(MAX_ROWS)), len(sales.groups))


def popular_report(lines: OrderLines) -> Report:
    """Return products, the one in the most orders first, then by revenue."""
    sales = sales_by(lines, lines.items)
    order = np.lexsort((sales.groups, -sales.revenue, -sales.orders))[:MAX_ROWS]
    return Report(_product_rows(lines, sales, [int(number) for number in order]), len(sales.groups))


def _product_rows(lines: OrderLines, sales: Sales, order: list[int]) -> list[Row]:
    newest = np.zeros(len(sales.groups), np.int64)
    np.maximum.at(newest, np.searchsorted(sales.groups, lines.items), lines.times)
    rows = []
    for number in order:
        item_id, item = lines.directory.item(int(sales.groups[number]))
        figures, units = sales.row(number), float(sales.units[number])
        mean_price = money(float(sales.revenue[number]) / units) if units else 0.0
        rows.append(
            {
                "product_id": item_id,
                "product_name": item.name or item_id,
                "category": item.category or UNKNOWN,
                "price": mean_price if item.price is None else money(item.price),
                "avg_price": mean_price,
                **figures,
                "purchase_count": figures["total_orders"],
                "score": figures["total_orders"],
                "last_order_date": instant_of(int(newest[number])),
            }
        )
    return rows


def categories_report(lines: OrderLines) -> Report:
    """Return categories, the one with the most revenue first."""
    groups = lines.categories + 1
    sales = sales_by(lines, groups)
    products = distinct_by(np.searchsorted(sales.groups, groups), lines.items, len(sales.groups))

    def describe(number: int) -> Row:
        name = lines.directory.categories.text(int(sales.groups[number]) - 1)
        return {"category": name or UNKNOWN, "product_count": int(products[number])}

    return _ranked(sales, describe)


def brands_report(lines: OrderLines) -> Report:
    """Return brands of the catalogue, the one with the most revenue first."""
    directory = lines.directory
    names = [directory.described_items[item_id].brand or UNKNOWN for item_id in directory.items.texts]
    brands, codes = np.unique(np.array(names, str), return_inverse=True)
    sales = sales_by(lines, codes[lines.items])
    whole = float(sales.revenue.sum())

    def describe(number: int) -> Row:
        return {
            "brand_name": str(brands[sales.groups[number]]),
            "total_customers": int(sales.customers[number]),
            "market_share": round(100 * share(float(sales.revenue[number]), whole), 4),
        }

    return _ranked(sales, describe)


def provinces_report(lines: OrderLines, regions: dict[str, str]) -> Report:
    """Return provinces, the one with the most revenue first."""
    groups = lines.provinces + 1
    sales = sales_by(lines, groups)
    has_city = lines.cities >= 0
    cities = distinct_by(
        np.searchsorted(sales.groups, groups[has_city]), lines.cities[has_city], len(sales.groups)
    )

    def describe(number: int) -> Row:
        name = lines.directory.provinces.text(int(sales.groups[number]) - 1)
        return {
            "province": name or UNKNOWN,
            "region": region_of(name, regions),
            "cities_covered": int(cities[number]),
            "order_count": int(sales.orders[number]),
            "customer_count": int(sales.customers[number]),
        }

    return _ranked(sales, describe)


def cities_report(lines: OrderLines, regions: dict[str, str]) -> Report:
    """Return cities that orders name, with their provinces, the one with the most revenue first."""
    size = len(lines.directory.cities.texts)
    groups = np.where(lines.cities < 0, -1, (lines.provinces + 1).astype(np.int64) * size + lines.cities)
    sales = sales_by(lines, groups)

    def describe(number: int) -> Row:
        province, city = divmod(int(sales.groups[number]), size)
        name = lines.directory.provinces.text(province - 1)
        return {
            "city": lines.directory.cities.texts[city],
            "province": name or UNKNOWN,
            "region": region_of(name, regions),
            "order_count": int(sales.orders[number]),
            "customer_count": int(sales.customers[number]),
        }

    return _ranked(sales, describe)


def category_provinces_report(lines: OrderLines) -> Report:
    """Return pairs of a province and a category, the one with the most revenue first."""
    size = len(lines.directory.categories.texts) + 1
    sales = sales_by(lines, (lines.provinces + 1).astype(np.int64) * size + lines.categories + 1)

    def describe(number: int) -> Row:
        province, category = divmod(int(sales.groups[number]), size)
        return {
            "province": lines.directory.provinces.text(province - 1) or UNKNOWN,
            "category": lines.directory.categories.text(category - 1) or UNKNOWN,
        }

    return _ranked(sales, describe)


def sources_report(lines: OrderLines) -> Report:
    """Return order sources, the one with the most revenue first, with the products that sold best in each."""
    sales = sales_by(lines, lines.sources)
    revenue, orders = float(sales.revenue.sum()), int(sales.orders.sum())
    places = np.searchsorted(sales.groups, lines.sources)
    products = distinct_by(places, lines.items, len(sales.groups))
    best = {}
    for source in sales.groups.tolist():
        rows = products_report(lines.only(lines.sources == source)).rows[:TOP_PRODUCTS]
        best[lines.directory.sources.texts[source]] = [
            {
                "product_name": row["product_name"],
                "revenue": row["total_revenue"],
                "sales_count": row["total_orders"],
            }
            for row in rows
        ]

    def describe(number: int) -> Row:
        times = lines.times[places == number]
        return {
            "order_type": lines.directory.sources.texts[sales.groups[number]],
            "revenue_percentage": round(100 * share(float(sales.revenue[number]), revenue), 4),
            "orders_percentage": round(100 * share(int(sales.orders[number]), orders), 4),
            "unique_products": int(products[number]),
            "earliest_order": instant_of(int(times.min())),
            "latest_order": instant_of(int(times.max())),
        }

    report = _ranked(sales, describe)
    summary = {
        "total_revenue": money(revenue),
        "total_orders": orders,
        "order_types_count": len(sales.groups),
        "top_products_per_type": best,
    }
    return Report(report.rows, report.total, summary)


def imports_report(lines: OrderLines) -> Report:
    """Return sources of imported files, by customers, with the provinces of these."""
    historical = lines.directory.sources.codes.get("historical", -1)
    lines = lines.only(lines.sources == historical)
    directory, rows = lines.directory, []
    for code in np.unique(lines.imports).tolist():
        mine = lines.only((lines.imports == code) & (lines.customers >= 0))
        sales = sales_by(mine, mine.provinces + 1)
        order = np.lexsort((sales.groups, -sales.customers))
        provinces = [
            {
                "province": directory.provinces.text(int(sales.groups[number]) - 1) or UNKNOWN,
                "count": int(sales.customers[number]),
            }
            for number in order
        ]
        customers = len(np.unique(mine.customers))
        rows.append(
            {"channel": directory.imports.texts[code], "customers": customers, "provinces": provinces}
        )
    whole = len(np.unique(lines.customers[lines.customers >= 0]))
    for row in rows:
        row["share_pct"] = round(100 * share(row["customers"], whole), 4)
    rows.sort(key=lambda row: (-row["customers"], row["channel"]))
    return Report(rows[:MAX_ROWS], len(rows), {"total_historical": whole})


def region_of(province: str | None, regions: dict[str, str]) -> str:
    """Return the region of a province, by its name in lower case; Unknown if none is set."""
    return regions.get((province or "").strip().casefold(), UNKNOWN)


def _first_times(lines: OrderLines) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.int64]]:
    """Return customers and the time of each one's first line."""
    known = lines.only(lines.customers >= 0)
    customers, first = np.unique(known.customers, return_index=True)
    return customers, known.times[first]  # lines are in the order of time


def _ranked(sales: Sales, describe: Callable[[int], dict[str, Any]]) -> Report:
    rows = [describe(number) | sales.row(number) for number in sales.by_revenue(MAX_ROWS)]
    return Report(rows, len(sales.groups))
