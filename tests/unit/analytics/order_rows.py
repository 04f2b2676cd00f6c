"""Order lines for tests of reports: from rows with defaults, and from the shop Online Retail."""

from __future__ import annotations

import os
import random
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb

from services.analytics.domain.order_lines import LinesBuilder, OrderLines

_DATA = Path(os.environ.get("ENDCAP_DATA", Path(__file__).resolve().parents[4] / "shared" / "data"))
ONLINE_RETAIL = _DATA / "online_retail" / "transactions.csv.gz"
NOW = datetime(2026, 11, 30, 12, tzinfo=UTC)
DEFAULTS: dict[str, Any] = {
    "user_id": None, "customer_name": None, "city": None, "province": None, "status": None,
    "is_bought": True, "ordered_at": NOW, "channel": "historical", "name": None, "category": None,
    "price": 1.0, "quantity": 1.0, "remaining": None, "source": "files",
}  # fmt: skip

PURCHASES = """
SELECT InvoiceNo AS order_id, StockCode AS item_id, nullif(CustomerID, '') AS user_id, Description AS name,
    Quantity::double AS quantity, UnitPrice::double AS price, InvoiceDate::timestamptz AS ordered_at,
    Country AS province
FROM read_csv(?, all_varchar = true, header = true)
WHERE NOT starts_with(InvoiceNo, 'C') AND Quantity::double > 0 AND UnitPrice::double > 0
    AND right(InvoiceNo, 1) IN ('0', '5') AND InvoiceDate::timestamp < '2011-02-01'
ORDER BY ordered_at, order_id, item_id
"""


def lines_of(rows: Iterable[Mapping[str, Any]], erased: Mapping[str, datetime] | None = None) -> OrderLines:
    """Columns of rows; what a row does not say is the default."""
    builder = LinesBuilder()
    complete = sorted((DEFAULTS | dict(row) for row in rows), key=lambda row: row["ordered_at"])
    builder.add(complete, erased or {})
    return builder.build()


def made_up_rows(orders: int = 300, seed: int = 7) -> list[dict[str, Any]]:
    """Orders of forty customers and some guests, who buy what is popular, over two years."""
    chance = random.Random(seed)
    rows = []
    for number in range(orders):
        user = None if chance.random() < 0.1 else f"0300{chance.randrange(40):07d}_Customer"
        place = chance.choice([("Punjab", "Lahore"), ("Sindh", "Karachi"), (None, None)])
        status = chance.choice(["delivered", "cancelled", "pending", "delivered"])
        order = DEFAULTS | {
            "order_id": f"o{number}", "user_id": user, "province": place[0], "city": place[1],
            "customer_name": None if user is None else "Customer",
            "ordered_at": NOW - timedelta(minutes=chance.randrange(2 * 365 * 24 * 60)),
            "channel": chance.choice(["oe", "pos", "historical"]),
            "status": status, "is_bought": status != "cancelled",
        }  # fmt: skip
        items = sorted({int(chance.paretovariate(0.7)) % 25 for _ in range(chance.randrange(1, 6))})
        rows += [
            order
            | {
                "item_id": f"i{item}", "name": f"Item {item}", "category": f"c{item % 3}",
                "price": 1.0 + item, "quantity": float(chance.randrange(1, 4)),
            }
            for item in items
        ]  # fmt: skip
    return rows


def bought(rows: Iterable[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Rows that are bought."""
    return [row for row in rows if row["is_bought"]]


def online_retail() -> list[dict[str, Any]]:
    """A fifth of the purchases of the first two months of Online Retail: invoices ending in 0 or 5."""
    with duckdb.connect() as connection:
        connection.execute("SET TimeZone = 'UTC'")
        result = connection.execute(PURCHASES, [str(ONLINE_RETAIL)])
        names = [column[0] for column in result.description]
        return [DEFAULTS | dict(zip(names, row, strict=True)) for row in result.fetchall()]
