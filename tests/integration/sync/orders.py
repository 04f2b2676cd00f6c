"""An order file, and what an import of it leaves in the database."""

from __future__ import annotations

from typing import Any

from services.sync.domain.imports import Import
from tests.integration.sync.shop import Shop

HEADER = (
    "order_id,user_id,customer_name,ordered_at,product_id,product_name,quantity,price,currency,country,kind\n"
)
FILE = HEADER + (
    "1,u1,Ada,2026-03-01T10:00:00Z,a,Cup,2,5.00,EUR,Austria,\n"
    "1,u1,Ada,2026-03-01T10:00:00Z,b,Plate,1,8.00,EUR,Austria,\n"
    "2,,,2026-03-01T11:00:00Z,a,Mug,1,5.50,EUR,Germany,\n"
    "5,u2,Bo,2026-03-02T10:00:00Z,c,Bowl,1,oops,EUR,France,\n"
    "3,u2,Bo,2026-03-02T10:00:00Z,a,,1,5.20,EUR,France,\n"
    "1,u1,Ada,2026-03-01T10:00:00Z,a,Cup,1,5.00,EUR,Austria,order\n"
    "4,u1,Ada,2026-03-03T10:00:00Z,a,Old cup,1,1.00,EUR,Italy,cancellation\n"
)
STATE = {
    "orders": "SELECT kind, order_id, unified_customer_id, country, ordered_at, line_count, content "
    "FROM orders ORDER BY 1, 2",
    "lines": "SELECT kind, order_id, product_id, n, unified_customer_id, quantity, price, product_name, "
    "file_line FROM order_items ORDER BY 1, 2, 3, 4",
    "items": "SELECT item_id, name, category, price, currency, attributes, times FROM items ORDER BY 1",
    "users": "SELECT user_id, name, city, country, times FROM users ORDER BY 1",
    "rejects": "SELECT line, code, reason, raw FROM import_rejects ORDER BY 1",
    "outbox": "SELECT id, aggregatetype, aggregateid, type FROM outbox "
    "WHERE type NOT LIKE '%TrainingRequested%' ORDER BY 1, 2",
    "staged": "SELECT * FROM staged_lines",
}


async def state(shop: Shop) -> dict[str, list[dict[str, Any]]]:
    return {name: await shop.rows(query) for name, query in STATE.items()}


def counts(import_: Import) -> tuple[int, int, int, int]:
    return import_.rows_read, import_.rows_accepted, import_.rows_rejected, import_.rows_duplicate
