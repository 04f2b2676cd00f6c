"""Orders and their lines, and the ids of imported interactions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from services.sync.domain.file_orders import LineKey, Order, Remains
from services.sync.domain.imports import Import
from services.sync.store.statements import SQL

if TYPE_CHECKING:
    from shared.postgres import Connection, Database

_ITEMS = (
    "tenant", "kind", "order_id", "product_id", "n", "unified_customer_id", "customer_name",
    "province", "city", "country", "product_name", "category", "price", "quantity", "currency",
    "ordered_at", "file_line", "import_id",
)  # fmt: skip

Key = tuple[str, str]
"""(kind, order id): a cancellation may have the id of its order."""


class Known(NamedTuple):
    """The hash of a stored order's content, the import that brought it, and whether a source follows it."""

    content: bytes
    import_id: str | None
    is_followed: bool = False


class Orders:
    """The orders of tenants. Methods with a connection run in the caller's transaction."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def add(self, connection: Connection, import_: Import, orders: Sequence[Order]) -> set[Key]:
        """Add the new orders with their lines; return the keys of those that were added."""
        rows = await connection.fetch(
            *SQL.add_orders(
                tenant=import_.tenant,
                source=import_.source,
                import_id=import_.id,
                kinds=[order.kind for order in orders],
                order_ids=[order.order_id for order in orders],
                user_ids=[order.user_id for order in orders],
                customer_names=[order.customer_name for order in orders],
                cities=[order.city for order in orders],
                provinces=[order.province for order in orders],
                countries=[order.country for order in orders],
                currencies=[order.currency for order in orders],
                ordered_ats=[order.ordered_at for order in orders],
                line_counts=[len(order.items) for order in orders],
                contents=[order.content for order in orders],
            )
        )
        new = {(row["kind"], row["order_id"]) for row in rows}
        records = [
            record
            for order in orders
            if (order.kind, order.order_id) in new
            for record in _item_records(import_, order)
        ]
        if records:
            await connection.copy_records_to_table("order_items", records=records, columns=_ITEMS)
        return new

    async def known(self, connection: Connection, tenant: str, orders: Sequence[Order]) -> dict[Key, Known]:
        """Return the stored orders with the same keys."""
        rows = await connection.fetch(
            *SQL.stored_orders(
                tenant=tenant,
                kinds=[order.kind for order in orders],
                order_ids=[order.order_id for order in orders],
            )
        )
        return {
            (row["kind"], row["order_id"]): Known(row["content"], row["import_id"], row["is_followed"])
            for row in rows
        }

    async def remains(
        self, connection: Connection, tenant: str, order_ids: Sequence[str]
    ) -> dict[LineKey, Remains]:
        """Return the lines of orders with a cancellation of the same id; those of sources are left out."""
        rows = await connection.fetch(*SQL.remains_of_lines(tenant=tenant, order_ids=list(order_ids)))
        return {
            (row["order_id"], row["product_id"], row["n"]): Remains(row["quantity"], row["placed_at"])
            for row in rows
        }

    async def by_id(self, tenant: str, order_id: str) -> list[dict[str, Any]]:
        """Return the order and the cancellation with an id, each with its lines; empty if there is none."""
        orders = await self._database.fetch(*SQL.order_by_id(tenant=tenant, order_id=order_id))
        lines = await self._database.fetch(*SQL.order_lines(tenant=tenant, order_id=order_id))
        return [
            {**order, "lines": [dict(line) for line in lines if line["kind"] == order["kind"]]}
            for order in orders
        ]

    async def versions(self, tenant: str, order_id: str) -> list[dict[str, Any]]:
        """Return the versions of an order that a source follows, the oldest first."""
        rows = await self._database.fetch(*SQL.order_versions(tenant=tenant, order_id=order_id))
        return [dict(row) for row in rows]

    async def new_interactions(
        self, connection: Connection, tenant: str, event_ids: Sequence[str]
    ) -> set[str]:
        """Store the ids of imported interactions; return those that are new."""
        rows = await connection.fetch(*SQL.new_interactions(tenant=tenant, event_ids=list(event_ids)))
        return {row["event_id"] for row in rows}


def _item_records(import_: Import, order: Order) -> list[tuple[Any, ...]]:
    tenant, import_id = import_.tenant, import_.id
    return [
        (
            tenant,
            order.kind,
            order.order_id,
            item.row.product_id,
            item.n,
            order.user_id,
            order.customer_name,
            item.row.province,
            item.row.city,
            item.row.country,
            item.row.product_name,
            item.row.category,
            item.row.price,
            item.row.quantity,
            item.row.currency,
            item.row.ordered_at,
            file_line,
            import_id,
        )
        for item, file_line in zip(order.items, order.file_lines, strict=True)
    ]
